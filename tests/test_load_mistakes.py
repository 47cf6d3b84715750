"""What cannot be loaded is told before anything of it comes, with what there is instead."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from tensor_files import Push, layers
from test_chunking_formats import npy_of, npz_of, torch_of

pytest_plugins = ["load_fixtures"]


@pytest.fixture(scope="module")
def mixed(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version with two files of tensors, and others."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "config.json").write_text("{}")
    (folder / "weights").write_bytes(npy_of(numpy.ones(3)))
    (folder / "pytorch_model.bin").write_bytes(torch_of({"archive/data/0": bytes(40)}))
    (folder / "model.safetensors").write_bytes(save_safetensors(layers(20, 1024)))
    (folder / "adapter.npz").write_bytes(npz_of({"lora.a": numpy.ones(3), "lora.b": numpy.zeros(3)}))
    with server.connect() as client:
        return client.push("test.load.mixed", folder).version.ref


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tensors": "layers.*"}, r"tensors is a list of names and patterns, such as \['layers.\*'\]"),
        ({"tensors": ["layer.07.weight"]}, "has no tensor 'layer.07.weight'; close to it are 'layers.07.weight', "),
        ({"tensors": ["layers.01.*", "nothing like it"]}, "has no tensor 'nothing like it'; it has .* and 17 more"),
        (
            {"tensors": lambda name: False},
            "tensors= takes none of the 22 tensors of .*: 'lora.a', 'lora.b', 'layers.00",
        ),
        ({"rows": {"lora.c": (0, 1)}}, "rows= names tensor 'lora.c', which .* has not; close to it are 'lora."),
        ({"framework": "jax"}, "framework is 'numpy' or 'torch', not 'jax'"),
        ({"device": "cuda"}, "use it with framework='torch'"),
        ({"include": "*.npz"}, r"include is a list of patterns, such as \['\*.npz'\]"),
        ({"include": ["*.onnx"]}, "no file of .* is selected by the patterns; it has 'adapter.npz', 'config.json', "),
        ({"exclude": ["*.npz", "*.safetensors"]}, r"no file that can be loaded \(\.safetensors, .*\); it has 'config"),
        ({"include": ["config.json"]}, "'config.json' cannot be loaded: its first bytes are of none of the formats"),
        ({"include": ["*.bin"]}, "'pytorch_model.bin' cannot be loaded: it is a pickled PyTorch checkpoint, .* never"),
    ],
)
def test_mistakes_are_told(client: wb.Client, mixed: str, options: Any, said: str) -> None:
    with pytest.raises(wb.UsageError, match=said):
        client.load(mixed, **options)


def test_patterns_choose_files_and_may_name_those_without_a_suffix(client: wb.Client, mixed: str) -> None:
    assert list(client.load(mixed, include=["*.npz", "*.json"])) == ["lora.a", "lora.b"]
    assert list(client.load(mixed, include=["weights"])) == ["weights"]
    assert len(client.load(mixed)) == 22


def test_references_are_checked(client: wb.Client, mixed: str) -> None:
    for ref, cls in {"mixed": wb.InvalidName, mixed + "9": wb.VersionNotFound, "a.b.absent": wb.ModelNotFound}.items():
        with pytest.raises(cls):
            client.load(ref)


def test_a_version_without_files_that_can_be_loaded(client: wb.Client, push: Push) -> None:
    files = {f"{number:02}.txt": b"x" for number in range(12)}
    with pytest.raises(wb.UsageError, match=r"it has '00.txt', .*, '09.txt' and 2 more"):
        client.load(push(files))


def test_names_in_two_files_are_listed(client: wb.Client, push: Push) -> None:
    content = save_safetensors(layers(25, 1024))
    ref = push({"model.safetensors": content, "copy/model.safetensors": content, "x.npy": npy_of(numpy.ones(1))})
    with pytest.raises(
        wb.UsageError, match=r"'layers.00.weight', .*'layers.19.weight' and 5 more; .* exclude="
    ) as clash:
        client.load(ref, tensors=["x"])
    assert clash.value.violations[0].message == "is in 'copy/model.safetensors' and in 'model.safetensors'"
    assert len(client.load(ref, exclude=["copy/*"])) == 26
