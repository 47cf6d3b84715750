"""GGUF, npz and npy files are loaded as their own libraries read them, and PyTorch gets tensors of its own."""

from __future__ import annotations

import importlib.util
import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest

import weighbridge as wb
from tensor_files import HEADERS_BYTES, Array, Meter, Push, gguf_file, layers, same
from test_chunking_formats import noise, npy_of, npz_of, text_of, with_zip64_ends
from weighbridge.core.limits import CHUNK_BYTES

pytest_plugins = ["load_fixtures"]


def test_gguf_tensors_are_of_their_type_or_blocks_of_bytes(client: wb.Client, push: Push) -> None:
    plain = {0: "<f4", 1: "<f2", 24: "i1", 25: "<i2", 26: "<i4", 27: "<i8", 28: "<f8"}
    expected: dict[str, Array] = {
        f"plain.{kind}": numpy.arange(30).reshape(2, 3, 5).astype(dtype) for kind, dtype in plain.items()
    }
    tensors = [(name, int(name[6:]), [5, 3, 2], array.tobytes()) for name, array in expected.items()]
    blocks = {8: (32, 34), 2: (32, 18), 12: (256, 144), 14: (256, 210)}
    for kind, (elements, block_bytes) in blocks.items():
        raw = noise(3 * 2 * block_bytes, kind)
        tensors.append((f"blocks.{kind}", kind, [2 * elements, 3], raw))
        expected[f"blocks.{kind}"] = numpy.frombuffer(raw, "u1").reshape(3, 2 * block_bytes)
    tensors.append(("later", 99, [7], b"x" * 60))
    expected["later"] = numpy.frombuffer(b"x" * 60 + bytes(4), "u1")
    tensors.append(("last", 0, [3], numpy.ones(3, "<f4").tobytes()))
    expected["last"] = numpy.ones(3, "<f4")
    same(client.load(push({"model.gguf": gguf_file(*tensors)})), expected)
    same(client.load(push({"model.gguf": gguf_file(*tensors, alignment=64)}), exclude=["*.npy"]), expected)


def test_the_shapes_of_gguf_are_those_of_its_package(client: wb.Client, push: Push, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    tensors = []
    for kind in gguf.GGMLQuantizationType:
        elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        if kind.name not in {"BF16", "Q8_1"} and kind <= 41:  # as plain integers there; never in a file; later ones
            tensors.append((kind.name, int(kind), [2 * elements, 3], noise(3 * 2 * block_bytes, int(kind))))
    content = gguf_file(*tensors)
    loaded = client.load(push({"model.gguf": content}))
    (tmp_path / "model.gguf").write_bytes(content)
    same(loaded, {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors})


def test_a_long_vocabulary_is_read_chunk_by_chunk(client: wb.Client, push: Push) -> None:
    words = struct.pack("<IIQ", 9, 8, 50_000) + b"".join(text_of(f"{n:080}") for n in range(50_000))
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text_of("tokens") + words + text_of("w")
    head += struct.pack("<IQIQ", 1, 4, 0, 0)
    assert len(head) > 2 * CHUNK_BYTES
    data = numpy.arange(4, dtype="<f4")
    same(client.load(push({"m.gguf": head + bytes(-len(head) % 32) + data.tobytes()})), {"w": data})


ARRAYS: dict[str, Array] = {
    "plain": numpy.arange(12, dtype="<f8").reshape(3, 4),
    "a/b": numpy.arange(3, dtype=">i4"),
    "text": numpy.array(["ü", "three"]),
    "times": numpy.array(["2026-10-01"], "M8[D]"),
    "complex": numpy.ones(3, "<c16"),
    "scalar": numpy.array(True),
    "empty": numpy.zeros((2, 0)),
    "long": numpy.frombuffer(noise(CHUNK_BYTES + 800, 2), "<f4"),
}


def test_npz_arrays_come_back(client: wb.Client, push: Push) -> None:
    same(client.load(push({"arrays.npz": npz_of(ARRAYS)})), ARRAYS)
    same(client.load(push({"arrays.npz": with_zip64_ends(npz_of(ARRAYS))}), tensors=["a/*"]), {"a/b": ARRAYS["a/b"]})


def test_npy_arrays_are_named_after_their_files(client: wb.Client, push: Push) -> None:
    same(
        client.load(push({f"deep/{n}.npy": npy_of(ARRAYS[n]) for n in ("plain", "text")})),
        {"deep/plain": ARRAYS["plain"], "deep/text": ARRAYS["text"]},
    )


def test_columns_stay_columns(client: wb.Client, push: Push) -> None:
    array = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    loaded = client.load(push({"a.npy": npy_of(array)}))["a"]
    assert (loaded == array).all()
    assert loaded.flags.f_contiguous


def test_an_array_of_a_large_archive_receives_its_own_bytes(client: wb.Client, push: Push) -> None:
    tensors = layers(4, 2 * CHUNK_BYTES)
    meter = Meter()
    ref = push({"arrays.npz": npz_of(tensors)})
    same(client.load(ref, tensors=["layers.02.*"], progress=meter), {"layers.02.weight": tensors["layers.02.weight"]})
    assert meter.received <= 2 * CHUNK_BYTES + HEADERS_BYTES


def test_small_arrays_are_received_once_without_a_cache(
    client: wb.Client, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their headers lie in the same chunks as they do."""
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    arrays = layers(40, 1 << 16)
    content = npz_of(arrays)
    meter = Meter()
    same(client.load(push({"arrays.npz": content}), progress=meter), arrays)
    assert meter.received <= len(content)


def test_compressed_entries_are_refused_where_they_are_wanted(client: wb.Client, push: Push) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("small.npy", npy_of(numpy.zeros(1000)), zipfile.ZIP_DEFLATED)
        archive.writestr("plain.npy", npy_of(numpy.ones(3)))
        archive.writestr("notes.txt", b"not an array")
    ref = push({"arrays.npz": out.getvalue()})
    with pytest.raises(wb.UsageError, match=r"file 'arrays.npz' cannot be loaded: array 'small' is compressed"):
        client.load(ref)
    same(client.load(ref, tensors=["plain"]), {"plain": numpy.ones(3)})


# torch


def test_torch_tensors_are_those_of_the_file(client: wb.Client, push: Push, tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    kinds = [torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32]
    kinds += [torch.uint64, torch.float16, torch.float32, torch.float64, torch.bfloat16, torch.complex64]
    kinds += [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu]
    tensors = {str(kind): torch.arange(24).reshape(2, 3, 4).float().to(kind) for kind in kinds}
    tensors |= {"scalar": torch.tensor(7.5), "empty": torch.zeros((0, 3), dtype=torch.bfloat16)}
    tensors |= {"long": torch.frombuffer(bytearray(noise(2 * CHUNK_BYTES + 64, 9)), dtype=torch.bfloat16)}
    importlib.import_module("safetensors.torch").save_file(tensors, tmp_path / "model.safetensors")
    ref = push({"model.safetensors": (tmp_path / "model.safetensors").read_bytes()})
    for loaded in (client.load(ref, framework="torch"), client.load(ref, framework="torch", device="cpu")):
        assert loaded.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
            same_bytes = loaded[name].reshape(-1).view(torch.uint8) == tensor.reshape(-1).view(torch.uint8)
            assert bool(same_bytes.all()), name
    loaded["long"].zero_()
    part = client.load(ref, framework="torch", tensors=["long"], rows={"long": (5, 99)})
    assert (part["long"].view(torch.int16) == tensors["long"][5:99].view(torch.int16)).all()


def test_torch_takes_the_other_formats(client: wb.Client, push: Push) -> None:
    torch: Any = pytest.importorskip("torch")
    fortran = numpy.asfortranarray(numpy.arange(24.0).reshape(2, 3, 4))
    half = noise(60, 1)
    ref = push({"a.npz": npz_of({"f": fortran}), "b.gguf": gguf_file(("h", 30, [15, 2], half))})
    loaded = client.load(ref, framework="torch")
    assert (loaded["f"].numpy() == fortran).all()
    assert (loaded["h"].dtype, tuple(loaded["h"].shape)) == (torch.bfloat16, (2, 15))
    with pytest.raises(wb.UsageError, match="'a' is of type '>f4', which PyTorch does not have"):
        client.load(push({"a.npy": npy_of(numpy.ones(3, ">f4"))}), framework="torch")
    with pytest.raises(wb.UsageError, match="PyTorch cannot use the device 'nonsense'"):
        client.load(ref, framework="torch", device="nonsense")
    assert client.load(ref, framework="torch", device="meta")["h"].is_meta


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="it is installed")
def test_torch_has_to_be_installed(client: wb.Client) -> None:
    with pytest.raises(wb.UsageError, match="pip install torch"):
        client.load("a.b.c", framework="torch")


def test_neither_numpy_nor_torch_is_imported_with_the_sdk() -> None:
    script = "import sys, weighbridge; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "ml_dtypes"} & set(loaded)
