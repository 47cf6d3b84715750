"""``mlflow_call.py URL push FILE`` and ``mlflow_call.py URL pull NAME DEST``: times the call and not the import.

Before it, a word goes the same way: client and server load what they need at the first artifact, for a second or two.
Run by an interpreter that has MLflow, with nothing else of this repository.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time

import mlflow

EXPERIMENT = "bench"
WORD = "word.txt"


def main() -> None:
    """Prints the seconds as JSON."""
    url, verb, *rest = sys.argv[1:]
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    if verb == "push":
        run_id = client.create_run(client.create_experiment(EXPERIMENT)).info.run_id
        client.log_text(run_id, "bench", WORD)
        began = time.perf_counter()
        client.log_artifact(run_id, rest[0])
    else:
        found = client.get_experiment_by_name(EXPERIMENT)
        run_id = client.search_runs([found.experiment_id])[0].info.run_id
        with tempfile.TemporaryDirectory() as folder:
            client.download_artifacts(run_id, WORD, folder)
        began = time.perf_counter()
        client.download_artifacts(run_id, rest[0], rest[1])
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
