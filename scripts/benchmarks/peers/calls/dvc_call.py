"""``dvc_call.py add FILE -- push --``: runs commands of DVC in the working directory and times them together.

Run by an interpreter that has DVC, with nothing else of this repository. The commands run in this process, after
one that has imported what they need: DVC takes longer to start than to do some of them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time

from dvc.cli import main as dvc


def main() -> None:
    """Prints the seconds as JSON."""
    commands = " ".join(sys.argv[1:]).removesuffix(" --").split(" -- ")
    with contextlib.redirect_stdout(sys.stderr):
        dvc(["status", "--cloud", "--quiet"])
        began = time.perf_counter()
        for command in commands:
            if dvc([*command.split(), "--quiet"]):
                sys.exit(f"dvc {command} failed")
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
