"""The fixture of the tests of loading: a plugin of pytest, which those tests name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import weighbridge as wb
from tensor_files import Push


@pytest.fixture
def push(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> Push:
    """Pushes files as a version of a new model; returns its reference."""

    def push(files: Mapping[str, bytes]) -> str:
        model = new_model()
        for name, content in files.items():
            path = tmp_path / model / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return client.push(model, tmp_path / model).version.ref

    return push
