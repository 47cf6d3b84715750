"""What cannot be loaded is told before anything of it comes, with what there is instead."""

from __future__ import annotations

import json
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


def index_of(shards: dict[str, dict[str, Any]], **others: str) -> bytes:
    named = {name: path for path, tensors in shards.items() for name in tensors}
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": {**named, **others}}).encode()


def test_a_model_that_lacks_a_shard_is_not_loaded_in_part(client: wb.Client, push: Push) -> None:
    tensors = layers(4, 1024)
    names = list(tensors)
    shards = {f"llm/{n}.safetensors": {name: tensors[name] for name in names[n::2]} for n in range(2)}
    index = index_of({path.removeprefix("llm/"): held for path, held in shards.items()})
    files = {path: save_safetensors(held) for path, held in shards.items()}
    whole = push({"llm/model.safetensors.index.json": index, **files})
    assert set(client.load(whole)) == set(names)
    lacking = push({"llm/model.safetensors.index.json": index, "llm/0.safetensors": files["llm/0.safetensors"]})
    with pytest.raises(wb.UsageError, match="lacks 2 of the tensors that its index names") as refused:
        client.load(lacking)
    assert [(item.path, "the version has not" in item.message) for item in refused.value.violations] == [
        (names[1], True),
        (names[3], True),
    ]
    assert set(client.load(lacking, tensors=names[0::2])) == set(names[0::2])
    assert set(client.load(whole, include=["llm/0.*"])) == set(names[0::2]), "what was left out is not missing"


def test_where_two_files_have_a_tensor_the_index_says_which_it_is(client: wb.Client, push: Push) -> None:
    tensors = layers(2, 1024)
    names = list(tensors)
    other = {names[0]: tensors[names[0]] + 1, "extra": tensors[names[1]]}
    for path in ("a_adapter.safetensors", "z_adapter.safetensors"):
        ref = push(
            {
                "model.safetensors.index.json": index_of({"model.safetensors": tensors}),
                "model.safetensors": save_safetensors(tensors),
                path: save_safetensors(other),
            }
        )
        loaded = client.load(ref)
        assert set(loaded) == {*names, "extra"}
        numpy.testing.assert_array_equal(loaded[names[0]], tensors[names[0]])


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"weight_map": {"a": 1}}', b'{"weight_map": []}', b"\xff"])
def test_an_index_that_is_none_is_named(client: wb.Client, push: Push, content: bytes) -> None:
    ref = push({"model.safetensors.index.json": content, "model.safetensors": save_safetensors(layers(1, 1024))})
    with pytest.raises(wb.UsageError, match=r"'model\.safetensors\.index\.json' cannot be loaded: it is no index"):
        client.load(ref)
    assert client.load(ref, exclude=["*.json"])
