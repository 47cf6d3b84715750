"""Whatever happens to a file of a format, its cuts cover it exactly: by tensors or not, but never with an error."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from functools import cache

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from test_chunking import check
from test_chunking_formats import (
    VOCABULARY,
    Memory,
    gguf_of,
    npy_of,
    npz_of,
    safetensors_of,
    torch_of,
    with_zip64_ends,
)
from test_chunking_hostile import must_be_cut
from weighbridge.core.chunking import Span, cut, fixed
from weighbridge.core.limits import CHUNK_BYTES

ENTRIES = {f"archive/data/{number}": bytes([number]) * 40 for number in range(3)}

FILES: dict[str, Callable[[], bytes]] = {
    "safetensors, by its library": lambda: save_safetensors(
        {"a": numpy.zeros((2, 3), "<f4"), "b": numpy.arange(4), "é": numpy.ones(5, "<f2")}, {"step": "1"}
    ),
    "safetensors": lambda: safetensors_of(
        [("a", "F16", b"12"), ("é", "F32", b"1234" * 9), ("c", "X", b"")], {"k": "v"}
    ),
    "gguf": lambda: gguf_of([("a", 0, b"1" * 40), ("b", 30, b"2" * 64)], [VOCABULARY[0], VOCABULARY[3]]),
    "torch": lambda: torch_of(ENTRIES),
    "torch with zip64 ends": lambda: with_zip64_ends(torch_of(ENTRIES)),
    "deflated": lambda: with_zip64_ends(torch_of(ENTRIES, zipfile.ZIP_DEFLATED)),
    "npz": lambda: npz_of({"a": numpy.arange(9), "b": numpy.arange(3.0)}),
    "npy": lambda: npy_of(numpy.arange(9)),
}
"""Small enough for a change to hit something."""


@cache
def small(name: str) -> bytes:
    return FILES[name]()


LONG_BYTES = CHUNK_BYTES + 4096

LONG: dict[str, Callable[[bytes], bytes]] = {
    "safetensors": lambda raw: safetensors_of([("a", "F16", b"12"), ("b", "BF16", raw), ("c", "F16", b"34")]),
    "gguf": lambda raw: gguf_of([("a", 0, bytes(32)), ("b", 30, raw), ("c", 0, bytes(32))], [VOCABULARY[0]]),
    "torch": lambda raw: with_zip64_ends(torch_of({"archive/data/0": b"12", "archive/data/1": raw})),
    "npz": lambda raw: npz_of({"a": numpy.arange(9), "b": numpy.frombuffer(raw, "<f4")}),
    "npy": lambda raw: npy_of(numpy.frombuffer(raw, "<f4")),
}


@cache
def ends_of_long(name: str) -> tuple[bytes, bytes]:
    """What lies before and behind a tensor longer than a chunk; the tensor itself is ones."""
    ones = b"\1" * LONG_BYTES
    before, behind = LONG[name](ones).split(ones)
    return before, behind


each_file = pytest.mark.parametrize("name", FILES)


def spans_of(content: bytes) -> list[Span]:
    """The cuts of a file, which cover it and give its bytes when joined."""
    spans = list(cut(Memory(content), len(content)))
    check(spans, len(content))
    assert b"".join(content[span.offset : span.offset + span.size] for span in spans) == content
    return spans


def is_cut_by_tensors(content: bytes) -> bool:
    """These small files have one fixed cut at most."""
    return spans_of(content) != list(fixed.spans(len(content)))


# One change, everywhere


def outcomes(changed: list[bytes]) -> set[bool]:
    """Whether tensors were seen in files: in some, in none, in all."""
    return {is_cut_by_tensors(content) for content in changed}


@each_file
def test_every_flipped_bit(name: str) -> None:
    content = small(name)
    flipped = []
    for at in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            flipped.append(bytes(changed))
    seen = outcomes(flipped)
    # Some bits spoil the format, others do not: otherwise this would have tried the same thing over and over.
    assert seen == ({False} if name == "deflated" else {True, False})


@each_file
def test_every_byte_that_becomes_another(name: str) -> None:
    content = small(name)
    for at in range(len(content)):
        for value in (0x00, 0x22, 0x7D, 0xFF):
            spans_of(content[:at] + bytes([value]) + content[at + 1 :])


@each_file
def test_every_place_to_end_or_to_begin(name: str) -> None:
    content = small(name)
    for at in range(len(content)):
        spans_of(content[:at])
        spans_of(content[at:])


@each_file
def test_every_byte_left_out_or_doubled(name: str) -> None:
    content = small(name)
    for at in range(len(content)):
        spans_of(content[:at] + content[at + 1 :])
        spans_of(content[: at + 1] + content[at:])


# Many changes


NUMBERS = st.sampled_from([0, 1, 8, 2**16 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
SIGNS = st.sampled_from([b"{", b"[", b"]", b'"', b"\\", b",", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\7", b"GGUF"])


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """With one to four changes: bits flipped, bytes put in, taken out or written over, stretches doubled or moved."""
    raw = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        end = min(len(raw), at + draw(st.one_of(st.integers(0, 16), st.integers(0, 200))))
        match draw(st.sampled_from(["flip", "insert", "write", "number", "remove", "double", "move"])):
            case "flip" if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "insert":
                raw[at:at] = draw(st.one_of(st.binary(max_size=9), SIGNS))
            case "write":
                patch = draw(st.one_of(st.binary(max_size=9), SIGNS))
                raw[at : at + len(patch)] = patch
            case "number":
                patch = struct.pack("<Q", draw(NUMBERS))[: draw(st.sampled_from([2, 4, 8]))]
                raw[at : at + len(patch)] = patch
            case "remove":
                del raw[at:end]
            case "double":
                raw[end:end] = raw[at:end]
            case "move":
                stretch = raw[at:end]
                del raw[at:end]
                to = draw(st.integers(0, len(raw)))
                raw[to:to] = stretch
    if draw(st.integers(0, 3)) == 0:
        del raw[draw(st.integers(0, len(raw))) :]
    return bytes(raw)


@each_file
@settings(max_examples=150, deadline=2000)
@given(data=st.data())
def test_mutated_files_are_cut(name: str, data: st.DataObject) -> None:
    content = data.draw(mutated(small(name)))
    assert spans_of(content) == spans_of(content)


@each_file
@settings(max_examples=50, deadline=2000)
@given(data=st.data(), more=st.sampled_from([1, 3 * CHUNK_BYTES]))
def test_mutated_files_with_zeros_behind_are_cut(name: str, data: st.DataObject, more: int) -> None:
    must_be_cut(data.draw(mutated(small(name))), more)


@pytest.mark.parametrize("name", LONG)
@settings(max_examples=60, deadline=2000)
@given(data=st.data())
def test_mutated_files_with_a_long_tensor_are_cut(name: str, data: st.DataObject) -> None:
    before, behind = ends_of_long(name)
    which = data.draw(st.sampled_from(["before", "behind", "both"]))
    if which != "behind":
        before = data.draw(mutated(before))
    if which != "before":
        behind = data.draw(mutated(behind))
    spans_of(before + b"\1" * data.draw(st.sampled_from([LONG_BYTES, LONG_BYTES, LONG_BYTES - 1])) + behind)


@pytest.mark.parametrize("name", LONG)
def test_a_long_tensor_is_cut_from_its_start_before_anything_is_changed(name: str) -> None:
    """Otherwise the changes would prove nothing."""
    before, behind = ends_of_long(name)
    offsets = {span.offset for span in spans_of(before + b"\1" * LONG_BYTES + behind)}
    assert {len(before), len(before) + CHUNK_BYTES} <= offsets


@pytest.mark.parametrize("name", LONG)
@settings(max_examples=25, deadline=2000)
@given(data=st.data())
def test_what_a_tensor_holds_does_not_matter(name: str, data: st.DataObject) -> None:
    before, behind = ends_of_long(name)
    raw = bytearray(b"\1" * LONG_BYTES)
    at = data.draw(st.integers(0, LONG_BYTES - 9))
    patch = data.draw(st.one_of(st.binary(min_size=1, max_size=9), SIGNS))
    raw[at : at + len(patch)] = patch
    assert spans_of(before + raw + behind) == spans_of(before + b"\1" * LONG_BYTES + behind)
