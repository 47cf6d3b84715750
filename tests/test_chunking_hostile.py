"""A file that lies about its format is cut like one without, at a bounded price: never an error, never other cuts."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from test_chunking import check
from test_chunking_formats import (
    Memory,
    gguf_of,
    safetensors_of,
    spans_of,
    text_of,
    torch_of,
    with_zip64_ends,
)
from weighbridge.core.chunking import Span, cut, fixed, gguf, safetensors, zip_entries
from weighbridge.core.chunking.tensors import TENSORS_MOST
from weighbridge.core.limits import CHUNK_BYTES

MEMORY_MOST = 128 << 20
"""A header of 16 MiB as text and as bytes, twice that for a table of 100,000 tensors."""


def header_of(text: str | bytes, data: int = 4 << 20) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw + b"\1" * data


def entry(begin: int, end: int, more: str = "") -> str:
    return f'{{"dtype":"F16","shape":[1],"data_offsets":[{begin},{end}]{more}}}'


WHOLE = entry(0, 4 << 20)

SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "a length past the end": lambda: struct.pack("<Q", 1 << 40) + b'{"a":1}' * 500_000,
    "a length of 2^64 - 1": lambda: struct.pack("<Q", 2**64 - 1) + b'{"a":1}' * 500_000,
    "100 MB of JSON": lambda: header_of(b'{"a":"' + b"x" * 100_000_000 + b'"}', 0),
    "a tensor past the end": lambda: header_of(f'{{"a":{entry(0, (4 << 20) + 1)}}}'),
    "an offset of 18 digits": lambda: header_of(f'{{"a":{entry(0, 10**18 - 1)}}}'),
    "an offset of a million digits": lambda: header_of(f'{{"a":{entry(0, 0)[:-2]}{"9" * 1_000_000}]}}}}'),
    "a negative offset": lambda: header_of(f'{{"a":{entry(-1, 4 << 20)}}}'),
    "an offset with a fraction": lambda: header_of(f'{{"a":{WHOLE.replace("[0", "[0.0")}}}'),
    "an end before its begin": lambda: header_of(f'{{"a":{entry(4 << 20, 0)}}}'),
    "an overlap": lambda: header_of(f'{{"a":{entry(0, 3 << 20)},"b":{entry(2 << 20, 4 << 20)}}}'),
    "an overlap as long as a hole": lambda: header_of(f'{{"a":{entry(0, 2 << 20)},"b":{entry(0, 2 << 20)}}}'),
    "a hole and a tensor past the end": lambda: header_of(f'{{"a":{entry(2 << 20, 6 << 20)}}}'),
    "a hole": lambda: header_of(f'{{"a":{entry(0, 1 << 20)},"b":{entry(2 << 20, 4 << 20)}}}'),
    "a hole at the start": lambda: header_of(f'{{"a":{entry(1, 4 << 20)}}}'),
    "bytes behind the last": lambda: header_of(f'{{"a":{entry(0, (4 << 20) - 1)}}}'),
    "one name twice": lambda: header_of(f'{{"a":{entry(0, 2 << 20)},"a":{entry(2 << 20, 4 << 20)}}}'),
    "one name twice, spelled otherwise": lambda: header_of(
        f'{{"a":{entry(0, 2 << 20)},"\\u0061":{entry(2 << 20, 4 << 20)}}}'
    ),
    "metadata twice": lambda: header_of(f'{{"__metadata__":{{}},"a":{WHOLE},"__metadata__":{{}}}}'),
    "metadata that is no text": lambda: header_of(f'{{"__metadata__":{{"a":1}},"a":{WHOLE}}}'),
    "a member twice": lambda: header_of('{"a":' + entry(0, 4 << 20, ',"dtype":"F32"') + "}"),
    "an unknown member": lambda: header_of('{"a":' + entry(0, 4 << 20, ',"x":"F32"') + "}"),
    "a missing member": lambda: header_of(f'{{"a":{{"dtype":"F16","data_offsets":[0,{4 << 20}]}}}}'),
    "three offsets": lambda: header_of(f'{{"a":{WHOLE.replace("[0", "[0,0")}}}'),
    "65 dimensions": lambda: header_of(f'{{"a":{WHOLE.replace("[1]", str([1] * 65))}}}'),
    "half a surrogate pair": lambda: header_of(f'{{"\\ud800":{WHOLE}}}'),
    "no UTF-8": lambda: header_of(b'{"\xff":' + WHOLE.encode() + b"}"),
    "a control character in a name": lambda: header_of(f'{{"\n":{WHOLE}}}'),
    "a comma too many": lambda: header_of(f'{{"a":{WHOLE},}}'),
    "something behind the object": lambda: header_of(f'{{"a":{WHOLE}}} null'),
    "no end of the object": lambda: header_of(f'{{"a":{WHOLE}'),
    "nested 8 million deep": lambda: header_of("{" + '"a":[' + "[" * (8 << 20)),
    "objects nested deeply": lambda: header_of('{"a":' * 2_000_000),
    "5 million empty lists": lambda: header_of('{"a":[' + "[]," * 5_000_000 + "[]]}"),
    "16 MiB of spaces": lambda: header_of("{" + " " * ((16 << 20) - 2) + "}"),
    "a shape of 16 MiB": lambda: header_of('{"a":{"shape":[' + "0," * 8_000_000 + "0]}}"),
    "too many tensors": lambda: header_of(
        "{" + ",".join(f'"{number}":{entry(0, 0)}' for number in range(TENSORS_MOST + 1)) + "}"
    ),
}


def gguf_head(tensors: int, metadata: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, metadata)


def gguf_table(*entries: tuple[str, int, int]) -> bytes:
    """A file without metadata of 4 MiB with tensors of these names, dimensions and offsets."""
    head = gguf_head(len(entries), 0)
    for name, dimensions, offset in entries:
        head += text_of(name) + struct.pack("<I", dimensions) + bytes(8 * min(dimensions, 100))
        head += struct.pack("<IQ", 1, offset)
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + bytes(4 << 20)


def gguf_value(value: bytes, key: str = "key") -> bytes:
    """A file of 4 MiB whose one piece of metadata is this; a good tensor follows."""
    return gguf_of([("a", 0, bytes(4 << 20))], [(key, value)])


GGUF: dict[str, Callable[[], bytes]] = {
    "2^63 tensors": lambda: gguf_head(2**63, 0) + bytes(4 << 20),
    "2^63 pieces of metadata": lambda: gguf_head(1, 2**63) + bytes(4 << 20),
    "too many tensors": lambda: gguf_head(TENSORS_MOST + 1, 0) + bytes(4 << 20),
    "version 1": lambda: gguf_head(0, 0, 1) + bytes(4 << 20),
    "big-endian": lambda: b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + bytes(4 << 20),
    "a name of 2^63 bytes": lambda: gguf_head(1, 0) + struct.pack("<Q", 2**63) + bytes(4 << 20),
    "a string of 2^63 bytes": lambda: gguf_value(struct.pack("<IQ", 8, 2**63)),
    "2^63 strings": lambda: gguf_value(struct.pack("<IIQ", 9, 8, 2**63)),
    "2^64 - 1 numbers": lambda: gguf_value(struct.pack("<IIQ", 9, 12, 2**64 - 1)),
    "strings that reach past the end": lambda: gguf_value(struct.pack("<IIQQ", 9, 8, 1, 2**64 - 1)),
    "an array of arrays": lambda: gguf_value(struct.pack("<IIQ", 9, 9, 0)),
    "an unknown kind of value": lambda: gguf_value(struct.pack("<I", 99)),
    "an unknown kind of elements": lambda: gguf_value(struct.pack("<IIQ", 9, 99, 0)),
    "an alignment of 0": lambda: gguf_value(struct.pack("<II", 4, 0), "general.alignment"),
    "an alignment of 48": lambda: gguf_value(struct.pack("<II", 4, 48), "general.alignment"),
    "an alignment of 2^31": lambda: gguf_value(struct.pack("<II", 4, 2**31), "general.alignment"),
    "an alignment that is a float": lambda: gguf_value(struct.pack("<II", 6, 32), "general.alignment"),
    "two alignments": lambda: gguf_of(
        [("a", 0, bytes(4 << 20))], 2 * [("general.alignment", struct.pack("<II", 4, 32))]
    ),
    "4 billion dimensions": lambda: gguf_table(("a", 2**32 - 1, 0)),
    "an offset past the end": lambda: gguf_table(("a", 1, 0), ("b", 1, 2**63)),
    "an offset at the end": lambda: gguf_table(("a", 1, 0), ("b", 1, 4 << 20)),
    "an offset out of line": lambda: gguf_table(("a", 1, 0), ("b", 1, 33)),
    "one offset twice": lambda: gguf_table(("a", 1, 0), ("b", 1, 0)),
    "a hole at the start": lambda: gguf_table(("a", 1, 32)),
    "one name twice": lambda: gguf_table(("a", 1, 0), ("a", 1, 32)),
    "33 MiB of empty strings": lambda: gguf_value(struct.pack("<IIQ", 9, 8, 2**40) + bytes(33 << 20)),
}


@cache
def archive() -> bytes:
    return torch_of({"archive/data/0": b"\1" * (3 << 20), "archive/data/1": b"\2" * 500_000})


def patched(content: bytes, at: int, fields: str, *values: int) -> bytes:
    """With these values in place of what is there; from the end where ``at`` is negative."""
    at %= len(content)
    return content[:at] + struct.pack("<" + fields, *values) + content[at + struct.calcsize("<" + fields) :]


def in_directory(number: int) -> int:
    """Where the directory's entry of this number begins."""
    at = struct.unpack("<I", archive()[-6:-2])[0]
    for _ in range(number):
        at += 46 + sum(struct.unpack_from("<HHH", archive(), at + 28))
    return int(at)


def renamed(content: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert len(old) == len(new)
    assert old in content
    return content.replace(old, new, count)


ZIP: dict[str, Callable[[], bytes]] = {
    "a comment": lambda: patched(archive(), -2, "H", 7) + b"comment",
    "bytes behind the end": lambda: archive() + b"\0",
    "bytes in front of the directory": lambda: patched(archive(), -6, "I", in_directory(0) - 8),
    "a directory past the end": lambda: patched(archive(), -6, "I", 0xFFFFFFF0),
    "a directory of 4 GB": lambda: patched(archive(), -10, "I", 0xFFFFFFF0),
    "one entry fewer": lambda: patched(archive(), -14, "HH", 3, 3),
    "one entry more": lambda: patched(archive(), -14, "HH", 5, 5),
    "two counts": lambda: patched(archive(), -14, "HH", 3, 4),
    "several disks": lambda: patched(archive(), -18, "H", 1),
    "an entry on another disk": lambda: patched(archive(), in_directory(1) + 34, "H", 1),
    "an entry past the end": lambda: patched(archive(), in_directory(1) + 42, "I", 0xFFFFFF00),
    "an entry in the directory": lambda: patched(archive(), in_directory(1) + 42, "I", in_directory(0)),
    "an entry into the directory": lambda: patched(archive(), in_directory(3) + 20, "II", 1000, 1000),
    "entries that overlap": lambda: patched(archive(), in_directory(1) + 20, "II", 3_300_000, 3_300_000),
    "an entry within a compressed one": lambda: patched(
        patched(archive(), in_directory(1) + 20, "II", 3_300_000, 3_300_000), in_directory(1) + 10, "H", 8
    ),
    "two entries in one place": lambda: patched(archive(), in_directory(2) + 42, "I", 64 + 180),
    "an entry of two sizes": lambda: patched(archive(), in_directory(1) + 20, "I", 1000),
    "two entries of one name": lambda: renamed(archive(), b"data/1", b"data/0"),
    "an entry of two names": lambda: renamed(archive(), b"data/1", b"data/2", 1),
    "names of two lengths": lambda: patched(archive(), 26, "H", 3),
    "a name past the directory's end": lambda: patched(archive(), in_directory(3) + 28, "H", 60_000),
    "a large size without its field": lambda: patched(archive(), in_directory(1) + 20, "II", 0xFFFFFFFF, 0xFFFFFFFF),
    "the second end elsewhere": lambda: patched(with_zip64_ends(archive()), -34, "Q", 0),
    "a second end of 2^63 entries": lambda: patched(with_zip64_ends(archive()), -98 + 24, "QQ", 2**63, 2**63),
    "a second end that is longer": lambda: patched(with_zip64_ends(archive()), -98 + 4, "Q", 2**63),
    "a second directory": lambda: patched(with_zip64_ends(archive()), -98 + 48, "Q", 2**64 - 1),
    "a locator and no room for what it locates": lambda: (
        b"PK\3\4" + struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1) + struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 0, 0, 20, 4, 0)
    ),
    "ends that contradict each other": lambda: patched(with_zip64_ends(archive()), -14, "HH", 3, 3),
    "65,535 entries and none there": lambda: patched(archive(), -14, "HH", 0xFFFF, 0xFFFF),
}

NPY: dict[str, Callable[[], bytes]] = {
    "a header past the end": lambda: b"\x93NUMPY\1\0\xff\xff" + bytes(1000),
    "a header of 4 GB": lambda: b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(3 << 20),
    "an unknown version": lambda: b"\x93NUMPY\x09\0\x10\0" + bytes(3 << 20),
    "nothing": lambda: b"\x93NUMPY",
}


SLOW_TO_TRACE = ("too many tensors", "2^63 pieces of metadata", "33 MiB of empty strings")
"""Hundreds of thousands of small allocations, one after the other or few bytes each: not for tracemalloc."""


def traced(content: bytes) -> tuple[list[Span], int, int]:
    """Spans, bytes read and the most memory that cutting took."""
    source = Memory(content)
    tracemalloc.start()
    try:
        spans = list(cut(source, len(content)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    check(spans, len(content))
    return spans, source.bytes_read, peak


CASES = {
    f"{kind}: {name}": make
    for kind, cases in {"safetensors": SAFETENSORS, "gguf": GGUF, "zip": ZIP, "npy": NPY}.items()
    for name, make in cases.items()
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", CASES)
def test_a_lie_gets_fixed_cuts(name: str) -> None:
    content = CASES[name]()
    source = Memory(content)
    assert list(cut(source, len(content))) == list(fixed.spans(len(content)))
    assert source.bytes_read <= gguf.HEADER_BYTES_MOST + 1024


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [name for name in CASES if not name.endswith(SLOW_TO_TRACE)])
def test_a_lie_takes_little_memory(name: str) -> None:
    assert traced(CASES[name]())[2] < MEMORY_MOST


def test_what_the_lies_start_from_is_cut_by_its_tensors() -> None:
    """Otherwise they would prove nothing."""
    good = (
        header_of(f'{{"a":{WHOLE}}}'),
        header_of(f'{{"__metadata__":{{}},"a":{entry(0, 2 << 20)},"b":{entry(2 << 20, 4 << 20)}}}'),
        header_of('{ "a" \n: ' + WHOLE.replace(",", " ,\t") + "} \r\n"),
        header_of(f'{{"a":{WHOLE.replace("[1]", str([1] * 64))}}}'),
        gguf_table(("a", 1, 0), ("b", 8, 32)),
        gguf_value(struct.pack("<II", 4, 64), "general.alignment"),
        gguf_value(struct.pack("<IIQ", 9, 8, 0)),
        archive(),
        with_zip64_ends(archive()),
        b"\x93NUMPY\1\0\x76\0" + bytes(3 << 20),
    )
    for content in good:
        assert spans_of(content) != list(fixed.spans(len(content))), content[:100]


def one_byte_each(count: int) -> bytes:
    header = ",".join(f'"{number}":{entry(number, number + 1)}' for number in range(count))
    return header_of("{" + header + "}", count)


def test_100_000_tensors_are_taken() -> None:
    content = one_byte_each(TENSORS_MOST)
    assert len(content) < safetensors.HEADER_BYTES_MOST
    assert TENSORS_MOST / 5 < len(spans_of(content)) < TENSORS_MOST / 3


def test_a_tensor_takes_half_a_kilobyte() -> None:
    """So that as many as are allowed take 50 MB."""
    assert traced(one_byte_each(5000))[2] < 5000 * 512


def test_a_directory_longer_than_its_limit_is_not_read() -> None:
    size = zip_entries.DIRECTORY_BYTES_MOST + 1
    content = b"PK\3\4" + bytes(100 + size) + struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 9, 9, size, 104, 0)
    _, bytes_read, _ = traced(content)
    assert bytes_read < 1024


def test_an_archive_that_would_unpack_to_much_is_not_unpacked() -> None:
    content = torch_of({"archive/data/0": bytes(50 << 20)}, zipfile.ZIP_DEFLATED)
    spans, bytes_read, peak = traced(content)
    assert spans == [Span(0, len(content))]
    assert bytes_read < 4096
    assert peak < 1 << 20


def test_a_file_that_shrinks_meanwhile_gets_cuts_all_the_same() -> None:
    """Reading it says what happened; cutting it must not fail first."""
    for content in (safetensors_of([("a", "F32", bytes(4 << 20))]), archive(), gguf_of([("a", 0, bytes(4 << 20))])):
        for left in (0, 3, 9, 20, 100):
            check(list(cut(Memory(content[:left]), len(content))), len(content))


# Whatever else


def must_be_cut(content: bytes, more: int = 0) -> None:
    size_bytes = len(content) + more
    spans = list(cut(Padded(content, size_bytes), size_bytes))
    check(spans, size_bytes)
    assert list(cut(Padded(content, size_bytes), size_bytes)) == spans


class Padded(Memory):
    """Goes on with zeros behind what it holds."""

    def __init__(self, content: bytes, size_bytes: int) -> None:
        super().__init__(content)
        self._size_bytes = size_bytes

    def read_at(self, offset: int, size: int) -> bytes:
        """See ``RandomAccess``."""
        assert size <= gguf.HEADER_BYTES_MOST
        return super().read_at(offset, size).ljust(max(0, min(size, self._size_bytes - offset)), b"\0")


@settings(max_examples=400, deadline=2000)
@given(st.sampled_from([gguf.MAGIC + b"\3\0\0\0", zip_entries.MAGIC, b"\x93NUMPY\1\0", b""]), st.binary(max_size=300))
@example(b"", b"\0\0\0\0\0\0\0\0{")
def test_anything_behind_a_sign_is_cut(magic: bytes, rest: bytes) -> None:
    must_be_cut(magic + rest)


@settings(max_examples=300, deadline=2000)
@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["a", "__metadata__", "dtype", "shape", "data_offsets"]), inner), max_leaves=12))  # fmt: skip
def test_any_json_for_a_header_is_cut(value: object) -> None:
    must_be_cut(header_of(json.dumps({"t": value}), 100))


@settings(max_examples=300, deadline=2000)
@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 3 << 20)), max_size=6, unique_by=lambda item: item[0]))
def test_tensors_of_any_size_are_cut_at_their_starts(sizes: list[tuple[str, int]]) -> None:
    """A long one at its start and every 2 MiB from there, a small one nowhere within."""
    header, ranges, position = {}, [], 0
    for name, size in sizes:
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [position, position + size]}
        ranges.append((position, position + size))
        position += size
    text = json.dumps(header).encode()
    data = 8 + len(text)
    spans = list(cut(Padded(struct.pack("<Q", len(text)) + text, data + position), data + position))
    check(spans, data + position)
    begins = {span.offset for span in spans}
    assert not position or data in begins
    for begin, end in ranges:
        if end - begin > CHUNK_BYTES:
            assert {data + begin, data + begin + CHUNK_BYTES} <= begins
        elif begin < end:
            assert not [at for at in begins if data + begin < at < data + end]
