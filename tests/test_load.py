"""Tensors come straight into memory: the right bytes, no more of them than were asked for, and none unverified."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from hostile_server import REF, Content, HostileServer, chunk_answer
from test_chunking_formats import VOCABULARY, Memory, gguf_of, noise, npy_of, npz_of, text_of, torch_of, with_zip64_ends
from test_damage import flip, packs
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.core.digest import SIZE_BYTES, chunk_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.tensors import open_tensors
from weighbridge.tensors.numpy_arrays import Numpy

pytest_plugins = ["hostile_fixtures"]

Array = NDArray[Any]
Push = Callable[[Mapping[str, bytes]], str]

HEADERS_BYTES = 64 * 1024
"""More than all headers of these tests' files take."""


class Meter:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total = self.done = self.received = 0
        self._lock = threading.Lock()

    def begin(self, files_total: int, bytes_total: int) -> None:
        """See ``Progress``."""
        self.total += bytes_total

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """See ``Progress``."""
        with self._lock:
            self.done += raw_bytes
            self.received += moved_bytes


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


def same(loaded: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """The same arrays, in the same order of names."""
    assert list(loaded) == list(expected)
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype, name
        assert loaded[name].shape == array.shape, name
        assert loaded[name].tobytes() == array.tobytes(), name


# Files


def safetensors_file(*tensors: tuple[str, str, Sequence[int], bytes]) -> bytes:
    """A file of tensors (name, dtype, shape, bytes) in this order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def gguf_file(*tensors: tuple[str | bytes, int, Sequence[int], bytes], alignment: int = 32) -> bytes:
    """A file of tensors (name, type, dimensions with the fastest first, bytes)."""
    table, data = b"", bytearray()
    for name, kind, dimensions, raw in tensors:
        name = name if isinstance(name, bytes) else name.encode()
        table += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dimensions))
        table += struct.pack(f"<{len(dimensions)}QIQ", *dimensions, kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    metadata = [*VOCABULARY, ("general.alignment", struct.pack("<II", 4, alignment))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text_of(key) + value for key, value in metadata) + table
    return head + bytes(-len(head) % alignment) + data


def npy_file(header: str, data: bytes, version: int = 1) -> bytes:
    """An array's file with a header of one's own."""
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(header))
        + (header.encode() + data)
    )


def layers(count: int, size: int) -> dict[str, Array]:
    """Weights that nothing makes smaller, each of ``size`` bytes."""
    return {
        f"layers.{number:02}.weight": numpy.frombuffer(noise(size, number), "<i2").reshape(-1, 512)
        for number in range(count)
    }


NATIVE: dict[str, Array] = {
    "bool": numpy.array([True, False, True]),
    **{
        kind: numpy.arange(24).reshape(2, 3, 4).astype(kind)
        for kind in "i1 <i2 <i4 <i8 u1 <u2 <u4 <u8 <f2 <f4 <f8 <c8".split()
    },
    "scalar": numpy.array(7.5, "<f8"),
    "empty": numpy.zeros(0, "<f4"),
    "no rows": numpy.zeros((0, 3), "<i8"),
    "long": numpy.frombuffer(noise(2 * CHUNK_BYTES + 4096, 3), "<f4").reshape(-1, 32),
    "größe.模型": numpy.ones((1, 1, 1, 1, 5), "<f2"),
}

BY_KIND = {
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
}
"""What numpy lacks."""


# Round trips


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


# No more than is wanted


@pytest.mark.parametrize(
    "choice", [["layers.03.*"], lambda name: "03" in name, ("layers.03.weight",)], ids=["pattern", "callable", "name"]
)
def test_a_part_receives_its_own_bytes(client: wb.Client, push: Push, choice: Any) -> None:
    tensors = layers(8, 2 * CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    meter = Meter()
    loaded = client.load(ref, tensors=choice, progress=meter)
    same(loaded, {"layers.03.weight": tensors["layers.03.weight"]})
    assert 0 <= meter.received - 2 * CHUNK_BYTES < HEADERS_BYTES
    assert meter.done == meter.total


def test_eight_ranks_receive_an_eighth_each(server: RunningServer, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    tensors = layers(16, 5 << 19) | {f"layers.{n:02}.norm": numpy.full(1000, n, "<f4") for n in range(16)}
    names = sorted(tensors)
    shards = [names[start : start + 4] for start in range(0, len(names), 4)]
    ref = push({f"{held[0]}.safetensors": save_safetensors({name: tensors[name] for name in held}) for held in shards})
    found: dict[str, Array] = {}
    for rank in range(8):
        meter = Meter()
        mine = [f"layers.{layer:02}.*" for layer in range(rank, 16, 8)]
        with server.connect() as client:
            found |= client.load(ref, tensors=mine, progress=meter)
        assert 5 << 20 <= meter.received < (5 << 20) + HEADERS_BYTES
    same(dict(sorted(found.items())), dict(sorted(tensors.items())))


def test_what_the_cache_has_is_not_received_again(client: wb.Client, push: Push, cache_dir: Path) -> None:
    tensors = layers(3, CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    first, second, third = Meter(), Meter(), Meter()
    client.load(ref, tensors=["layers.00.weight"], progress=first)
    same(client.load(ref, progress=second), tensors)
    assert 2 * CHUNK_BYTES == second.received < first.received + CHUNK_BYTES
    for chunk in (path for path in cache_dir.rglob("*") if path.stat().st_size > CHUNK_BYTES):
        flip(chunk, 1000)
    same(client.load(ref, progress=third), tensors)
    assert third.received == 3 * CHUNK_BYTES
    assert third.done == third.total


def test_a_load_takes_what_a_pull_has_kept(client: wb.Client, push: Push, tmp_path: Path) -> None:
    tensors = layers(2, CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    client.pull(ref, tmp_path / "out")
    meter = Meter()
    same(client.load(ref, progress=meter), tensors)
    assert meter.received == 0


def test_memory_is_the_tensors_and_a_few_chunks(
    client: wb.Client, push: Push, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    size = 48 * CHUNK_BYTES
    ref = push({"model.npy": npy_of(numpy.arange(size // 4, dtype="<u4"))})
    client.load(push({"small.npy": npy_of(numpy.arange(1024, dtype="<u4"))}))  # imports
    tracemalloc.start()
    try:
        loaded = client.load(ref)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded["model"].nbytes == size
    assert peak < size + 16 * CHUNK_BYTES
    assert not list(cache_dir.rglob("*"))


def test_a_chunk_in_many_places_fills_all_of_them(client: wb.Client, push: Push) -> None:
    tensors = {f"zeros.{n}": numpy.zeros(CHUNK_BYTES, "<f4") for n in range(3)}
    meter = Meter()
    ref = push({"a.safetensors": save_safetensors(tensors), "b.npy": npy_of(numpy.zeros(3 * CHUNK_BYTES, "u1"))})
    same(client.load(ref, progress=meter), {**tensors, "b": numpy.zeros(3 * CHUNK_BYTES, "u1")})
    assert meter.received < HEADERS_BYTES


# Rows


ROW_BYTES = 4096


@pytest.mark.parametrize(
    ("begin", "end", "chunks"),
    [(0, 512, 1), (512, 1024, 1), (511, 513, 2), (0, 2000, 4), (1999, 2000, 1), (700, 700, 0), (0, 0, 0)],
)
def test_rows_are_those_of_the_whole_and_no_others_come(
    client: wb.Client, push: Push, begin: int, end: int, chunks: int
) -> None:
    whole = numpy.frombuffer(noise(2000 * ROW_BYTES, 5), "<f4").reshape(2000, 16, 64)
    beside = numpy.arange(6, dtype="<i4").reshape(3, 2)
    meter = Meter()
    ref = push({"model.safetensors": save_safetensors({"beside": beside, "embedding": whole})})
    loaded = client.load(ref, rows={"embedding": (begin, end)}, progress=meter)
    same({name: loaded[name] for name in sorted(loaded)}, {"beside": beside, "embedding": whole[begin:end]})
    assert meter.received <= chunks * CHUNK_BYTES + HEADERS_BYTES


@pytest.mark.parametrize("suffix", ["npy", "npz", "gguf"])
def test_rows_of_every_format(client: wb.Client, push: Push, suffix: str) -> None:
    whole = numpy.arange(600, dtype="<f4").reshape(20, 30)
    content = {
        "npy": lambda: npy_of(whole),
        "npz": lambda: npz_of({"w": whole}),
        "gguf": lambda: gguf_file(("w", 0, [30, 20], whole.tobytes())),
    }[suffix]()
    same(client.load(push({f"w.{suffix}": content}), rows={"w": (3, 7)}), {"w": whole[3:7]})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"w": (0, 5)}, "tensor 'w' has rows 0 to 4; 0 to 5 are not among them"),
        ({"w": (-1, 2)}, "-1 to 2"),
        ({"w": (3, 2)}, "3 to 2"),
        ({"w": 3}, "are a begin and an end, such as"),
        ({"w": (0.0, 1.0)}, "are a begin and an end, such as"),
        ({"w": (0, 1, 2)}, "are a begin and an end, such as"),
        ({"scalar": (0, 1)}, "is a single number"),
        ({"fortran": (0, 1)}, "is stored column by column"),
        ({"ww": (0, 1)}, "rows= names tensor 'ww', which .* has not; close to it are 'w'"),
    ],
)
def test_rows_that_are_not_there(client: wb.Client, push: Push, rows: Any, said: str) -> None:
    arrays = {
        "w": numpy.zeros((4, 4)),
        "scalar": numpy.array(1.0),
        "fortran": numpy.asfortranarray(numpy.zeros((2, 3))),
    }
    with pytest.raises(wb.UsageError, match=said):
        client.load(push({"a.npz": npz_of(arrays)}), rows=rows)


def test_rows_of_what_is_not_taken(client: wb.Client, push: Push) -> None:
    ref = push({"a.npz": npz_of({"w": numpy.zeros(4), "v": numpy.zeros(4)})})
    with pytest.raises(wb.UsageError, match="rows= names tensor 'w', which tensors= does not take"):
        client.load(ref, tensors=["v"], rows={"w": (0, 1)})


# The other formats


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


# Wrong bytes, and servers that fail


def damage(server: RunningServer, chunk: bytes) -> None:
    """Inverts a byte behind the digest in the record of a chunk."""
    for pack in packs(server):
        at = pack.read_bytes().find(chunk_digest(chunk))
        if at >= 0:
            flip(pack, at + SIZE_BYTES)
            return
    raise AssertionError("it is not stored")


def test_a_damaged_chunk_is_data_loss_by_name(
    own_server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = layers(4, CHUNK_BYTES)
    content = save_safetensors(tensors)
    (tmp_path / "model.safetensors").write_bytes(content)
    with own_server.connect() as client:
        ref = client.push("a.b.c", tmp_path / "model.safetensors").version.ref
        damage(own_server, tensors["layers.02.weight"].tobytes())
        with pytest.raises(wb.DataLoss, match=f"{ref}: file 'model.safetensors', chunk 3: ") as loss:
            client.load(ref)
        assert (loss.value.details["path"], loss.value.details["chunk"]) == ("model.safetensors", "3")
        same(client.load(ref, tensors=["layers.00.*"]), {"layers.00.weight": tensors["layers.00.weight"]})
        monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
        damage(own_server, content[: -4 * CHUNK_BYTES])
        with pytest.raises(wb.DataLoss, match=f"{ref}: file 'model.safetensors', chunk 0: "):
            client.load(ref, tensors=["layers.00.*"])


SMALL = {"w": numpy.arange(2000, dtype="<i4")}


@pytest.fixture
def honest() -> Content:
    """What the server holds: one file, cut every 1000 bytes."""
    return Content.of({"w.npy": npy_of(SMALL["w"])}, cut_bytes=1000)


@pytest.mark.parametrize("number", [0, 5])
def test_another_chunk_than_was_asked_for_never_gets_into_an_array(
    hostile: HostileServer, sdk: wb.Client, honest: Content, number: int
) -> None:
    wrong = honest.files[0].chunks[number].digest
    hostile.download = lambda request, context: (
        chunk_answer(honest.chunks[digest], **({"payload": bytes(1000), "codec": 1} if digest == wrong else {}))
        for digest in request.digests
    )
    with pytest.raises(wb.DataLoss, match=rf"a.b.c:1: file 'w.npy', chunk {number}: ") as loss:
        sdk.load(REF)
    assert (loss.value.details["path"], loss.value.details["chunk"]) == ("w.npy", str(number))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_stream_that_fails_is_taken_up_again(
    hostile: HostileServer, sdk: wb.Client, honest: Content, code: Any
) -> None:
    sdk.resolve(REF)  # the server is known to be there
    honestly, failed = hostile.download, threading.Event()

    def fails_once(request: Any, context: grpc.ServicerContext) -> Any:
        if len(request.digests) > 1 and not failed.is_set():
            failed.set()
            yield chunk_answer(honest.chunks[request.digests[0]])
            context.abort(code, "not now")
        yield from honestly(request, context)

    hostile.download = fails_once
    same(sdk.load(REF), SMALL)
    assert failed.is_set()


# Mistakes


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


# Files that lie


def npz_with(change: Callable[[bytearray, int], None]) -> bytes:
    """An archive after ``change``, which is given where the directory begins."""
    content = bytearray(npz_of({"a": numpy.arange(6.0), "b": numpy.ones(2)}))
    change(content, struct.unpack_from("<I", content, len(content) - 6)[0])
    return bytes(content)


def header_beyond(content: bytearray, directory: int) -> None:
    """The first entry's header is said to be far away."""
    struct.pack_into("<I", content, directory + 42, 0x7FFFFFFF)


def name_elsewhere(content: bytearray, directory: int) -> None:
    """The header in front of an entry has another name."""
    content[30] ^= 1


def same_header(content: bytearray, directory: int) -> None:
    """Both entries are the same bytes."""
    entry = 46 + len("a.npy") + struct.unpack_from("<H", content, directory + 30)[0]
    struct.pack_into("<I", content, directory + entry + 42, 0)


def shape_of(shape: str, descr: str = "'<f8'", data: int = 48, order: str = "False") -> bytes:
    """An array's file that says so of itself."""
    return npy_file(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n", bytes(data))


RAW = bytes(4096)

LIES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.safetensors", b"", "first bytes"),
    "a pointer": ("a.safetensors", b"version https://git-lfs.github.com/spec/v1", "first bytes"),
    "an offset outside": (
        "a.safetensors",
        safetensors_file(("w", "F32", [1024], RAW)).replace(b"4096]", b"9999]"),
        "outside the file",
    ),
    "a header past the end": ("a.safetensors", struct.pack("<Q", 1 << 20) + b"{}" * 9, "the header is too long"),
    "an overlap": (
        "a.safetensors",
        safetensors_file(("v", "F32", [1024], RAW), ("w", "F32", [1024], RAW)).replace(
            b"[4096, 8192]", b"[2048, 6144]"
        ),
        "overlap",
    ),
    "a shape too large": ("a.safetensors", safetensors_file(("w", "F32", [1025], RAW)), r"4096 bytes, .*\[1025\]"),
    "a shape too small": ("a.safetensors", safetensors_file(("w", "F32", [1023], RAW)), r"4096 bytes, .*\[1023\]"),
    "a shape of 10^68": ("a.safetensors", safetensors_file(("w", "F32", [10**17] * 4, RAW)), "4096 bytes"),
    "an unknown type": ("a.safetensors", safetensors_file(("w", "F4", [8192], RAW)), "type 'F4', which cannot be"),
    "no shape that arrays have": (
        "a.safetensors",
        safetensors_file(("w", "F32", [0, 10**17, 10**17], b"")),
        "cannot be an array",
    ),
    "gguf cut off": ("a.gguf", gguf_file(("w", 0, [1024], RAW))[:-100], "'w' takes 4096 bytes and has 3996"),
    "gguf of another version": ("a.gguf", b"GGUF\1" + bytes(60), "the version is unknown"),
    "a gguf shape too large": ("a.gguf", gguf_file(("w", 0, [1025], RAW)), "takes 4100 bytes and has 4096"),
    "a gguf shape of 2^504": ("a.gguf", gguf_file(("w", 0, [2**63] * 8, RAW)), "and has 4096"),
    "gguf rows of half blocks": ("a.gguf", gguf_file(("w", 8, [48, 2], RAW)), "whole blocks"),
    "a gguf name that is no text": ("a.gguf", gguf_file((b"\xff", 0, [1024], RAW)), "not UTF-8"),
    "an entry beyond": ("a.npz", npz_with(header_beyond), "lies in the directory"),
    "an entry with two names": ("a.npz", npz_with(name_elsewhere), "two names"),
    "two entries of the same bytes": ("a.npz", npz_with(same_header), "overlap|directory says"),
    "an archive of no arrays": ("a.npz", torch_of({"x": b"1"}).replace(b"data.pkl", b"data.pkX"), "without an array"),
    "a checkpoint called npz": ("a.npz", torch_of({"x": b"1"}), "pickled PyTorch checkpoint"),
    "an npy shape too large": ("a.npy", shape_of("(7,)"), "48 bytes"),
    "an npy shape of 10^36": ("a.npy", shape_of("(999999999999999999, 999999999999999999)"), "48 bytes"),
    "an npy shape that is code": ("a.npy", shape_of("__import__('os')"), "not one of a plain array"),
    "an npy type that is code": ("a.npy", shape_of("(6,)", "__import__('os')"), "not one of a plain array"),
    "an npy record": ("a.npy", shape_of("(6,)", "[('x', '<f8')]"), "not one of a plain array"),
    "npy objects": ("a.npy", shape_of("(6,)", "'|O'"), "pickled objects, which are never loaded"),
    "npy objects, as numpy writes them": ("a.npy", npy_of(numpy.array([{}, None])), "pickled objects"),
    "an npy type of none": ("a.npy", shape_of("(6,)", "'<f7'", 42), "numpy does not know"),
    "an npy type of several": ("a.npy", shape_of("(6,)", "'<f4,<f4'"), "cannot be loaded"),
    "an npy order that is none": ("a.npy", shape_of("(6,)", order="(1,)"), "the array's header is broken"),
    "npy without an end": ("a.npy", npy_file("{" * 4000, RAW), "the array's header is broken"),
    "npy with a long header": ("a.npy", npy_file(" " * 70_000, RAW, 2), "too long"),
    "npy of a later version": ("a.npy", npy_file("{}", RAW, 9), "unknown version"),
}


@pytest.fixture(scope="module")
def lies(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version with all of these files, each in a folder of its own."""
    root = tmp_path_factory.mktemp("lies")
    for number, (path, content, _) in enumerate(LIES.values()):
        (root / str(number)).mkdir()
        (root / str(number) / path).write_bytes(content)
    with server.connect() as client:
        return client.push("test.load.lies", root).version.ref


@pytest.mark.parametrize("name", LIES)
def test_files_that_lie_are_refused_by_name(client: wb.Client, lies: str, name: str) -> None:
    path, _, said = LIES[name]
    path = f"{list(LIES).index(name)}/{path}"
    with pytest.raises(wb.UsageError, match=f"file '{path}' cannot be loaded: .*({said})") as refused:
        client.load(lies, include=[path])
    assert refused.value.details["path"] == path


class InMemory(Memory):
    """A file that is here already."""

    path = "w.npy"

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.size_bytes = len(content)

    def expect(self, stretches: Iterable[tuple[int, int]]) -> None:
        """See ``Source``."""
        assert all(begin < end for begin, end in stretches)


def is_refused(content: bytes) -> bool:
    """Whether a file is; one that is not has all its tensors inside."""
    source, numpy_arrays = InMemory(content), Numpy()
    try:
        file = open_tensors(source)
        for stored in file.locate(file.names):
            numpy_arrays.check(stored)
            numpy_arrays.array(numpy.empty(stored.size, "u1"), stored)
            assert stored.size >= 0
            assert not stored.size or 0 <= stored.offset <= len(content) - stored.size
    except (NotThisFormat, wb.UsageError):
        return True
    return False


MUTATED: dict[str, bytes] = {
    "safetensors": save_safetensors({"a": numpy.zeros((2, 3), "<f4"), "é": numpy.arange(4), "e": numpy.zeros(0)}),
    "gguf": gguf_of([("a", 24, b"1" * 40), ("b", 24, b"2" * 64)], [VOCABULARY[0], VOCABULARY[3]]),
    "npz": npz_of({"a": numpy.arange(9), "b": numpy.arange(3.0)}),
    "npy": npy_of(numpy.array(["2026-10-01", "2026-10-02"], "M8[D]")),
}


@pytest.mark.parametrize("name", MUTATED)
def test_every_flipped_bit_is_refused_or_leads_nowhere_else(name: str) -> None:
    content = MUTATED[name]
    assert not is_refused(content)
    refused = set()
    for at in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            refused.add(is_refused(bytes(changed)))
    assert refused == {True, False}
    for at in range(len(content)):
        is_refused(content[:at])
        is_refused(content[:at] + content[at + 1 :])
        is_refused(content[:at] + b"0" + content[at:])
