"""scripts/quickstart works from any directory, with a file, a folder or nothing, and stops what it started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parent.parent / "scripts" / "quickstart"


@pytest.fixture
def temporary(session_dir: Path) -> Iterator[Path]:
    """Where it makes its folder."""
    path = session_dir / "quickstart"
    path.mkdir(mode=0o711)
    yield path
    shutil.rmtree(path)


def quickstart(temporary: Path, *arguments: str | Path) -> str:
    """Runs it somewhere else; returns what it prints."""
    done = subprocess.run(
        [QUICKSTART, *arguments],
        cwd="/",
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_without_a_path_it_carries_a_model_of_its_own(temporary: Path) -> None:
    said = quickstart(temporary)
    for expected in (
        "  tags.hardware_target: is missing",
        "pushed demo.regression.mlp:1",
        "every byte verified",
        "identical, byte for byte",
        "sent      0 B in 0 of 12 chunks",
        "To go on with what is there now",
    ):
        assert expected in said
    (work,) = temporary.iterdir()
    assert str(work) in said
    left = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False).stdout
    assert left == "", "it left processes running"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_with_a_path_it_carries_that(temporary: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights.bin").write_bytes(os.urandom(3_000_000))
    said = quickstart(temporary, tmp_path if kind == "folder" else tmp_path / "sub" / "weights.bin")
    assert re.search(r"content +1 file, 3\.0 MB, every byte verified", said)
    assert "identical, byte for byte" in said


def test_a_path_that_is_not_there_is_refused(temporary: Path) -> None:
    done = subprocess.run([QUICKSTART, "/does/not/exist"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "quickstart: /does/not/exist does not exist\n")
