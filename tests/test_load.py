"""Tensors come straight into memory: the right bytes, in memory that is the caller's."""

from __future__ import annotations

import importlib.util
import json

import pytest
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from tensor_files import HEADERS_BYTES, NATIVE, Meter, Push, layers, safetensors_file, same
from test_chunking_formats import noise
from weighbridge.core.limits import CHUNK_BYTES

pytest_plugins = ["load_fixtures"]

BY_KIND = {
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
}
"""What numpy lacks."""


def test_every_dtype_of_numpy_comes_back(client: wb.Client, push: Push) -> None:
    content = save_safetensors(NATIVE)
    loaded = client.load(push({"model.safetensors": content}))
    names = [name for name in loaded if NATIVE[name].size]
    begins = [content.index(NATIVE[name].tobytes()) for name in names if NATIVE[name].nbytes > 100]
    assert begins == sorted(begins), "they come in the order of the bytes"
    same({name: loaded[name] for name in NATIVE}, NATIVE)
    assert loaded.keys() == NATIVE.keys()


def test_arrays_are_writable_and_the_callers_own(client: wb.Client, push: Push) -> None:
    ref = push({"model.safetensors": save_safetensors(NATIVE)})
    loaded = client.load(ref)
    assert all(array.flags.writeable and array.flags.aligned for array in loaded.values())
    roots = {id(array.base) for array in loaded.values()}
    assert len(roots) == len(loaded)
    loaded["long"][:] = 0
    same(client.load(ref, tensors=["long"]), {"long": NATIVE["long"]})


def test_a_version_without_tensors_in_its_file_gives_none(client: wb.Client, push: Push) -> None:
    assert client.load(push({"a.safetensors": safetensors_file()})) == {}


@pytest.mark.skipif(importlib.util.find_spec("ml_dtypes") is not None, reason="it is installed")
@pytest.mark.parametrize("kind", BY_KIND)
def test_what_numpy_lacks_is_refused_before_it_is_fetched(client: wb.Client, push: Push, kind: str) -> None:
    raw = noise(CHUNK_BYTES, 1)
    ref = push({"model.safetensors": safetensors_file(("w", kind, [len(raw) // BY_KIND[kind][1]], raw))})
    meter = Meter()
    with pytest.raises(wb.UsageError, match=r"'w' .*: pip install ml_dtypes, or load with framework='torch'"):
        client.load(ref, progress=meter)
    assert 0 < meter.received < HEADERS_BYTES


@pytest.mark.parametrize("kind", BY_KIND)
def test_what_numpy_lacks_comes_with_ml_dtypes(client: wb.Client, push: Push, kind: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    name, width = BY_KIND[kind]
    raw = noise(4096, 1)
    loaded = client.load(push({"m.safetensors": safetensors_file(("w", kind, [2, len(raw) // width // 2], raw))}))
    assert loaded["w"].dtype == getattr(ml_dtypes, name)
    assert loaded["w"].shape == (2, 2048 // width)
    assert loaded["w"].tobytes() == raw
    assert loaded["w"].flags.writeable


def test_a_sharded_folder_is_one_set_of_tensors(client: wb.Client, push: Push) -> None:
    tensors = layers(12, 1 << 18)
    names = list(tensors)
    shards = {f"model-{n + 1:05}-of-00003.safetensors": names[4 * n : 4 * n + 4] for n in range(3)}
    files = {shard: save_safetensors({name: tensors[name] for name in held}) for shard, held in shards.items()}
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    files |= {"model.safetensors.index.json": json.dumps(index).encode(), "config.json": b"{}"}
    same(client.load(push(files)), tensors)
