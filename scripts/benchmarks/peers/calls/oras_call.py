"""``oras_call.py HOST:PORT push FILE`` and ``oras_call.py HOST:PORT pull DEST``: times the call and not the import.

Run by an interpreter that has ORAS, with nothing else of this repository.
"""

from __future__ import annotations

import json
import sys
import time

import oras.client


def main() -> None:
    """Prints the seconds as JSON."""
    address, verb, path = sys.argv[1:]
    client = oras.client.OrasClient(hostname=address, insecure=True)
    target = f"{address}/bench/model:v1"
    began = time.perf_counter()
    if verb == "push":
        client.push(target=target, files=[path], disable_path_validation=True, quiet=True)
    else:
        client.pull(target=target, outdir=path)
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
