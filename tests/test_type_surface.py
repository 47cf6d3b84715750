"""The types that a consumer sees: one file that must pass ``mypy --strict``, and one of mistakes that must not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TYPING = Path(__file__).parent / "typing"


def mypy(file: str, cwd: Path) -> str:
    """What mypy says of a file, as a consumer runs it: outside this project, on the installed package."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "", str(TYPING / file)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False).stdout


def test_right_use_passes(tmp_path: Path) -> None:
    assert mypy("consumer_passes.py", tmp_path) == ""


def test_each_mistake_is_refused_and_nothing_else(tmp_path: Path) -> None:
    errors = re.findall(r":(\d+): error: .*\[([a-z-]+)\]", mypy("consumer_fails.py", tmp_path))
    said = {(int(line), code) for line, code in errors}
    expected = {
        (number, mark[1])
        for number, line in enumerate((TYPING / "consumer_fails.py").read_text().splitlines(), start=1)
        if (mark := re.search(r"# refused: ([a-z-]+)$", line))
    }
    assert len(expected) > 10
    assert said == expected
