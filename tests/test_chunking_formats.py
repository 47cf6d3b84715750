"""Cuts follow tensors, and a change in a file changes the chunks that it touches and no others."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest
from blake3 import blake3
from safetensors.numpy import save as save_safetensors

from test_chunking import check
from weighbridge.core.chunking import Span, cut, fixed
from weighbridge.core.limits import CHUNK_BYTES

Arrays = Mapping[str, "numpy.ndarray[Any, Any]"]

LAYERS = 24
RETRAINED = "layers.07."


class Memory:
    """A file in memory that counts what is read of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.bytes_read = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """See ``RandomAccess``."""
        assert offset >= 0
        assert size >= 0
        raw = self.content[offset : offset + size]
        self.bytes_read += len(raw)
        return raw


def spans_of(content: bytes) -> list[Span]:
    spans = list(cut(Memory(content), len(content)))
    check(spans, len(content))
    return spans


def chunks_of(content: bytes) -> dict[bytes, Span]:
    """The chunks of a file by their digest; of equal ones the last."""
    return {
        blake3(memoryview(content)[span.offset : span.offset + span.size]).digest(): span for span in spans_of(content)
    }


def new_spans(before: bytes, after: bytes) -> list[Span]:
    """Where ``after`` has chunks that ``before`` has not."""
    known = chunks_of(before)
    return [span for digest, span in chunks_of(after).items() if digest not in known]


def begin_of(content: bytes, raw: bytes) -> int:
    """Where these random bytes are in a file."""
    return content.index(raw[:64])


def starts(content: bytes) -> set[int]:
    return {span.offset for span in spans_of(content)}


# Files


def safetensors_of(tensors: Iterable[tuple[str, str, bytes]], metadata: dict[str, str] | None = None) -> bytes:
    """A file of tensors (name, dtype, bytes) in this order: with the dtypes that numpy lacks."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = bytearray()
    for name, dtype, raw in tensors:
        header[name] = {"dtype": dtype, "shape": [len(raw)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def text_of(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf_of(
    tensors: Iterable[tuple[str, int, bytes]], metadata: Iterable[tuple[str, bytes]] = (), alignment: int = 32
) -> bytes:
    """A file of tensors (name, type, bytes); metadata are keys and values with their kind in front."""
    table, data = b"", bytearray()
    tensors, metadata = list(tensors), list(metadata)
    for name, kind, raw in tensors:
        table += text_of(name) + struct.pack("<IQIQ", 1, len(raw), kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text_of(key) + value for key, value in metadata) + table
    return head + bytes(-len(head) % alignment) + data


VOCABULARY = [
    ("general.architecture", struct.pack("<I", 8) + text_of("llama")),
    ("tokenizer.tokens", struct.pack("<IIQ", 9, 8, 5000) + b"".join(text_of(f"token{n}") for n in range(5000))),
    ("tokenizer.scores", struct.pack("<IIQ", 9, 6, 5000) + bytes(20000)),
    ("tokenizer.add_space", struct.pack("<IB", 7, 1)),
]


class Stream:
    """Cannot seek: what is written to it has its sizes and sums behind the entries, as PyTorch writes them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, raw: bytes) -> int:
        """See ``io.RawIOBase``."""
        self.parts.append(bytes(raw))
        return len(raw)

    def flush(self) -> None:
        """See ``io.RawIOBase``."""


PICKLE = b"\x80\x02}q\x00." * 30


def torch_of(entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A checkpoint as ``torch.save`` writes it: stored entries that begin at multiples of 64 bytes."""
    stream = Stream()
    with zipfile.ZipFile(stream, "w", method) as archive:  # type: ignore[call-overload]
        for name, raw in {"archive/data.pkl": PICKLE, **entries, "archive/version": b"3\n"}.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            before = sum(map(len, stream.parts)) + 30 + len(name) + 4
            padding = -before % 64
            info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
            archive.writestr(info, raw)
    return b"".join(stream.parts)


def with_zip64_ends(content: bytes) -> bytes:
    """The same archive with the end records for large ones, which PyTorch always writes."""
    body, end = content[:-22], content[-22:]
    count, size, begin = struct.unpack_from("<HII", end, 10)
    return (
        body
        + struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin)
        + struct.pack("<4sIQI", b"PK\6\7", 0, len(body), 1)
        + struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def npz_of(arrays: Arrays) -> bytes:
    out = io.BytesIO()
    numpy.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def npy_of(array: numpy.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    numpy.save(out, array)
    return out.getvalue()


@cache
def noise(size: int, seed: int) -> bytes:
    return numpy.random.default_rng(seed).bytes(size)


def model(*, retrained: bool = False) -> dict[str, bytes]:
    """24 layers: one tensor of 2.5 MiB and two small ones each; sorted by name."""
    sizes = {"attention.weight": 5 << 19, "norm.bias": 4096, "norm.weight": 8192}
    return {
        name: noise(size, 1000 * layer + number + (500 if retrained and name.startswith(RETRAINED) else 0))
        for layer in range(LAYERS)
        for number, (part, size) in enumerate(sizes.items())
        for name in [f"layers.{layer:02}.{part}"]
    }


def adapter() -> dict[str, bytes]:
    """Small tensors only, as in an adapter."""
    return {f"layer.{number:03}.lora": noise(16 * 1024, number) for number in range(200)}


def as_safetensors(tensors: Mapping[str, bytes]) -> bytes:
    return save_safetensors({name: numpy.frombuffer(raw, "<f2") for name, raw in tensors.items()})


def as_gguf(tensors: Mapping[str, bytes]) -> bytes:
    return gguf_of([(name, 1, raw) for name, raw in tensors.items()], VOCABULARY)


def as_torch(tensors: Mapping[str, bytes]) -> bytes:
    return with_zip64_ends(torch_of({f"archive/data/{name}": raw for name, raw in tensors.items()}))


def as_npz(tensors: Mapping[str, bytes]) -> bytes:
    return npz_of({name: numpy.frombuffer(raw, "<f2") for name, raw in tensors.items()})


FORMATS: dict[str, Callable[[Mapping[str, bytes]], bytes]] = {
    "safetensors": as_safetensors,
    "gguf": as_gguf,
    "torch": as_torch,
    "npz": as_npz,
}
each_format = pytest.mark.parametrize("save", FORMATS.values(), ids=FORMATS.keys())


# Where the cuts are


@each_format
def test_a_long_tensor_is_cut_from_its_own_start(save: Callable[[Mapping[str, bytes]], bytes]) -> None:
    tensors = model()
    content = save(tensors)
    found = starts(content)
    for name, raw in tensors.items():
        if len(raw) > CHUNK_BYTES:
            begin = begin_of(content, raw)
            assert {begin, begin + CHUNK_BYTES, begin + len(raw)} <= found, name


def test_one_tensor_has_the_same_chunks_in_every_format() -> None:
    raw = noise(5 << 20, 1)
    expected = {blake3(raw[offset : offset + CHUNK_BYTES]).digest() for offset in range(0, len(raw), CHUNK_BYTES)}
    files = [save({"weight": raw}) for save in FORMATS.values()]
    files += [npy_of(numpy.frombuffer(raw, "<f4")), safetensors_of([("w", "BF16", raw)], {"step": "1"})]
    for content in files:
        assert expected <= chunks_of(content).keys()


def ends_run(name: str) -> bool:
    return int(struct.unpack("<I", blake3(name.encode()).digest()[:4])[0]) % 4 == 0


def test_small_tensors_are_joined_until_a_name_ends_the_run() -> None:
    tensors = adapter()
    content = as_safetensors(tensors)
    data = len(content) - sum(map(len, tensors.values()))
    expected = {0, data}
    expected |= {begin_of(content, raw) + len(raw) for name, raw in tensors.items() if ends_run(name)}
    assert starts(content) == expected - {len(content)}
    assert 30 < len(expected) < 80


def test_a_run_grows_to_2_mib_and_no_further() -> None:
    names = [name for name in (f"t{number}" for number in range(100)) if not ends_run(name)][:5]
    sizes = [CHUNK_BYTES // 2, CHUNK_BYTES // 2, CHUNK_BYTES - 1, 2, CHUNK_BYTES]
    content = safetensors_of((name, "U8", noise(size, size)) for name, size in zip(names, sizes, strict=True))
    assert [span.size for span in spans_of(content)][1:] == [CHUNK_BYTES, CHUNK_BYTES - 1, 2, CHUNK_BYTES]


def test_a_header_longer_than_a_chunk_is_cut_on_its_own() -> None:
    content = safetensors_of([("w", "F32", bytes(8))], {"notes": "x" * (3 << 20)})
    header = len(content) - 8
    assert spans_of(content) == [
        Span(0, CHUNK_BYTES),
        Span(CHUNK_BYTES, header - CHUNK_BYTES),
        Span(header, 8, "f32"),
    ]


def test_headers_in_an_archive_stay_with_the_small_entries_behind_them() -> None:
    """Long entries are pure, small ones take their headers along, the directory is on its own."""
    names = [name for name in (f"archive/data/{number}" for number in range(40)) if not ends_run(name)][:4]
    raws = [noise(1000, 1), noise(2000, 2), noise(3 << 20, 3), noise(500, 4)]
    assert ends_run("archive/data.pkl")
    assert not ends_run("archive/version")
    content = torch_of(dict(zip(names, raws, strict=True)))
    begins = [begin_of(content, raw) for raw in raws]
    assert [span.offset for span in spans_of(content)] == [
        0,
        64,  # data.pkl
        64 + len(PICKLE),  # the sum behind it and a header, a small one, a header, a small one
        begins[1] + 2000,  # the header of the long one
        begins[2],
        begins[2] + CHUNK_BYTES,
        begins[2] + (3 << 20),  # the header of the last small one, it, the header of the version, it
        content.index(b"3\nPK") + 2,  # the sum behind the version, the directory
    ]


def test_an_entry_that_only_begins_like_an_array_is_an_entry_like_any_other() -> None:
    """Here by a header that would end behind it; the archive is cut by its entries all the same."""
    raw = noise(3 << 20, 1)
    content = torch_of({"archive/data/0": b"\x93NUMPY\1\0\xff\xff" + bytes(100), "archive/data/1": raw})
    begin = begin_of(content, raw)
    assert {begin, begin + CHUNK_BYTES, begin + len(raw)} <= starts(content)


def test_compressed_entries_are_cut_like_what_lies_between() -> None:
    content = torch_of({"archive/data/0": noise(5 << 20, 1)}, zipfile.ZIP_DEFLATED)
    assert spans_of(content) == list(fixed.spans(len(content)))


def test_the_name_of_a_file_is_never_asked_for() -> None:
    """Text, images and the like, and a file that is none but begins with a brace where safetensors has one."""
    for content in (
        b"\0" * 100,
        b"{}" * 10,
        b"\x89PNG\r\n\x1a\n",
        b"12345678{ not json",
        b"GGUF",
        b"PK\3\4",
        b"\x93NUMPY",
    ):
        assert spans_of(content) == list(fixed.spans(len(content)))


# What a chunk holds


def dtypes_of(content: bytes) -> list[str | None]:
    return [span.dtype for span in spans_of(content)]


def test_safetensors_chunks_know_their_dtype() -> None:
    kinds = {"BF16": "bf16", "F16": "f16", "F32": "f32", "F64": "f64", "F8_E4M3": "f8", "I8": "i8", "F4": None}
    for stated, expected in kinds.items():
        assert dtypes_of(safetensors_of([("w", stated, bytes(5 << 20))])) == [None] + 3 * [expected]


def test_a_run_has_a_dtype_where_all_its_tensors_share_it() -> None:
    one, two = [name for name in (f"t{number}" for number in range(100)) if not ends_run(name)][:2]
    assert dtypes_of(safetensors_of([(one, "BF16", bytes(64)), (two, "BF16", bytes(64))])) == [None, "bf16"]
    assert dtypes_of(safetensors_of([(one, "BF16", bytes(64)), (two, "F16", bytes(64))])) == [None, None]
    assert dtypes_of(gguf_of([(one, 30, bytes(64)), (two, 30, bytes(60))])) == [None, "bf16"]
    assert dtypes_of(gguf_of([(one, 30, bytes(64)), (two, 12, bytes(144))])) == [None, None]


def test_arrays_know_their_dtype_and_archives_without_one_do_not() -> None:
    array = numpy.zeros(3 << 18, "<f8")
    assert dtypes_of(npy_of(array)) == [None, "f64", "f64", "f64"]
    assert dtypes_of(npz_of({"a": array})) == [None, "f64", "f64", "f64", None]
    assert dtypes_of(npy_of(array.astype(">f4"))) == [None, None, None]
    assert set(dtypes_of(as_torch({"a": bytes(3 << 20)}))) == {None}


# What a change changes


@pytest.mark.parametrize(("save", "beside"), [(as_safetensors, 0), (as_gguf, 0), (as_torch, 3), (as_npz, 5)])
def test_a_retrained_layer_changes_its_own_chunks(save: Callable[[Mapping[str, bytes]], bytes], beside: int) -> None:
    """``beside``: the archives' headers, sums and directory, a few hundred bytes that are chunks of their own."""
    before, retrained = model(), model(retrained=True)
    content = save(retrained)
    own = [(begin_of(content, raw), len(raw)) for name, raw in retrained.items() if name.startswith(RETRAINED)]
    begin, end = min(own)[0], max(own)[0] + max(own)[1]
    new = new_spans(save(before), content)
    inside = [span for span in new if span.offset < end and span.offset + span.size > begin]
    outside = [span for span in new if span not in inside]
    assert sum(span.size for span in inside) <= sum(size for _, size in own) + 1024
    assert len(inside) <= 2 + 2 + 2  # the long tensor, the runs of the small ones, headers between them
    assert len(outside) <= beside
    assert all(span.size < 16 * 1024 for span in outside)
    assert len(spans_of(content)) > LAYERS * 3


@pytest.mark.parametrize("save", [as_safetensors, as_gguf])
@pytest.mark.parametrize("size", [6000, 5 << 20], ids=["small", "long"])
def test_a_tensor_that_comes_first_changes_the_header_and_its_run(
    save: Callable[[Mapping[str, bytes]], bytes], size: int
) -> None:
    before, raw = save(model()), noise(size, 99)
    after = save({"a": raw, **model()})
    data = begin_of(after, raw)
    assert len(before) % CHUNK_BYTES != len(after) % CHUNK_BYTES
    header, *added = new_spans(before, after)
    assert header == Span(0, data)
    assert [span.offset for span in added] == list(range(data, data + size, CHUNK_BYTES))


@pytest.mark.parametrize("at", [0, 50, 120])
def test_a_tensor_among_small_ones_changes_the_header_and_one_run(at: int) -> None:
    tensors = adapter()
    names = list(tensors)
    more = dict(sorted({**tensors, names[at] + ".a": noise(16 * 1024, 999)}.items()))
    before, after = as_safetensors(tensors), as_safetensors(more)
    new = new_spans(before, after)
    assert len(new) in (2, 3)  # the header; the run, which the new name may have cut in two
    assert new[0].offset == 0
    assert sum(span.size for span in new[1:]) < 20 * 16 * 1024
    fewer = new_spans(after, before)
    assert len(fewer) == 2


def test_a_longer_header_changes_nothing_else() -> None:
    tensors = [(name, "BF16", raw) for name, raw in model().items()]
    before, after = safetensors_of(tensors, {"step": "1"}), safetensors_of(tensors, {"step": "1000", "by": "me"})
    assert new_spans(before, after) == [spans_of(after)[0]]


def test_a_checkpoint_under_another_name_shares_its_long_tensors() -> None:
    """``torch.save`` calls the folder within the archive after the file: every header and small run differs."""
    before = as_torch(model())
    after = before.replace(b"archive/", b"step200/")
    new = new_spans(before, after)
    assert all(span.size < 64 * 1024 for span in new)
    assert sum(span.size for span in spans_of(after)) - sum(span.size for span in new) > LAYERS * 5 << 19


# What it costs


def test_a_file_of_a_gigabyte_is_cut_by_its_header_alone() -> None:
    size = 1 << 30
    count = 256
    each = size // count
    header = {
        f"layers.{number}.weight": {
            "dtype": "BF16",
            "shape": [each // 2],
            "data_offsets": [number * each, (number + 1) * each],
        }
        for number in range(count)
    }
    text = json.dumps(header).encode()
    source = Memory(struct.pack("<Q", len(text)) + text)
    total = len(source.content) + size
    spans = list(cut(source, total))
    check(spans, total)
    assert len(spans) == 1 + 512
    assert source.bytes_read == 9 + 8 + len(text)


def test_a_checkpoint_is_cut_by_its_headers_alone() -> None:
    source = Memory(as_torch(model()))
    list(cut(source, len(source.content)))
    assert source.bytes_read < 64 * 1024


def test_a_vocabulary_is_read_and_the_tensors_are_not() -> None:
    source = Memory(as_gguf(model()))
    list(cut(source, len(source.content)))
    assert source.bytes_read < 512 * 1024


# The document's vectors

VECTORS = json.loads((Path(__file__).parents[1] / "protos" / "vectors.json").read_text())["tensor_cuts"]


@pytest.mark.parametrize("entry", VECTORS, ids=[entry["name"] for entry in VECTORS])
def test_vectors(entry: dict[str, Any]) -> None:
    content = b"".join(bytes.fromhex(part["raw"]) * part["times"] for part in entry["file"])
    assert [span.size for span in spans_of(content)] == entry["chunk_bytes"]
