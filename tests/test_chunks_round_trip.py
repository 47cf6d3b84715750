"""Cut, encoded as each chunk's dtype suggests, opened and joined: a model file is the same file again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from made_weights import noise, normal, upcast, whole
from test_chunking_formats import gguf_of, npz_of, safetensors_of, spans_of, torch_of, with_zip64_ends
from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest

LONG = 3 << 20


def mixed() -> dict[str, tuple[str, bytes]]:
    """Tensors of every kind, by name: what safetensors calls their dtype, and their bytes."""
    return {
        "decoder.weight": ("BF16", normal("bf16", LONG // 2 + 1)),
        "decoder.bias": ("BF16", normal("bf16", 777)),
        "embedding.weight": ("F16", normal("f16", LONG // 2)),
        "embedding.scale": ("F32", normal("f32", 33)),
        "head.weight": ("F32", normal("f32", LONG // 4)),
        "head.upcast": ("F32", upcast(normal("bf16", LONG // 8))),
        "norm.mean": ("F64", normal("f64", 5001)),
        "norm.zeros": ("F32", bytes(40_000)),
        "positions": ("I64", numpy.arange(10_000, dtype="<i8").tobytes()),
        "quantized.weight": ("I8", whole("i8", LONG // 2, 30)),
        "quantized.float8": ("F8_E4M3", noise(100_001)),
        "quantized.packed": ("F4", noise(50_001)),
        "quantized.zero_points": ("I16", whole("i16", 20_001, 30)),
        "steps": ("I32", whole("i32", 501, 1000)),
        "mask": ("BOOL", bytes(3001)),
        "nothing": ("F32", b""),
    }


def arrays() -> dict[str, numpy.ndarray[Any, Any]]:
    """Those that numpy has a dtype for."""
    kinds = {
        "F16": "<f2",
        "F32": "<f4",
        "F64": "<f8",
        "I8": "i1",
        "I16": "<i2",
        "I32": "<i4",
        "I64": "<i8",
        "BOOL": "?",
    }
    return {name: numpy.frombuffer(raw, kinds[kind]) for name, (kind, raw) in mixed().items() if kind in kinds}


GGML_TYPES = {"F32": 0, "F16": 1, "F4": 12, "I8": 24, "I16": 25, "I32": 26, "I64": 27, "F64": 28, "BF16": 30}

FILES: dict[str, Callable[[], bytes]] = {
    "safetensors": lambda: safetensors_of((name, kind, raw) for name, (kind, raw) in mixed().items()),
    "safetensors, by its library": lambda: save_safetensors(arrays(), {"format": "np"}),
    "gguf": lambda: gguf_of(
        (name, GGML_TYPES[kind], raw) for name, (kind, raw) in mixed().items() if kind in GGML_TYPES and raw
    ),
    "npz": lambda: npz_of(arrays()),
    "torch": lambda: with_zip64_ends(
        torch_of({f"archive/data/{number}": raw for number, (_, raw) in enumerate(mixed().values())})
    ),
}
each_file = pytest.mark.parametrize("name", FILES)


@cache
def file(name: str) -> bytes:
    return FILES[name]()


def encoded(content: bytes, hints: Callable[[str | None], str | None] = lambda dtype: dtype) -> list[EncodedChunk]:
    """The chunks of a file, which give it again; ``hints`` may change what is said of them."""
    view = memoryview(content)
    chunks = []
    for span in spans_of(content):
        raw = view[span.offset : span.offset + span.size]
        chunks.append(encode_chunk(raw, chunk_digest(raw), hints(span.dtype)))
    assert b"".join(open_chunk(chunk) for chunk in chunks) == content
    return chunks


def share(chunks: list[EncodedChunk]) -> float:
    return sum(len(chunk.payload) for chunk in chunks) / sum(chunk.raw_bytes for chunk in chunks)


@each_file
def test_a_file_of_mixed_tensors_is_the_same_file_again(name: str) -> None:
    chunks = encoded(file(name))
    assert {Codec.ZSTD, Codec.PLANES} <= {chunk.codec for chunk in chunks}
    assert share(chunks) < 0.8


@each_file
def test_it_is_the_same_file_whatever_is_said_of_its_chunks(name: str) -> None:
    """Floats taken for others, integers for floats, and everything for nothing."""
    others = {"bf16": "f32", "f32": "bf16", "f16": "i16", "i8": "f64", "f64": "u8", "f8": "bf16", None: "f32"}
    lied = encoded(file(name), lambda dtype: others.get(dtype, "bf16"))
    silent = encoded(file(name), lambda dtype: None)
    told = encoded(file(name))
    assert share(told) <= share(silent) + 0.01
    assert share(told) < share(lied)


@pytest.mark.parametrize("name", ["safetensors", "safetensors, by its library", "gguf"])
def test_chunks_of_long_tensors_know_what_they_are(name: str) -> None:
    known = {span.dtype for span in spans_of(file(name)) if span.size > 1 << 20}
    assert known >= {"f16", "f32"}


def test_a_header_that_lies_about_dtypes_costs_size_alone() -> None:
    content = file("safetensors")
    lying = content.replace(b'"BF16"', b'"F64" ').replace(b'"F32"', b'"I16"').replace(b'"I8"', b'"I4"')
    assert [span.size for span in spans_of(lying)] == [span.size for span in spans_of(content)]
    assert [span.dtype for span in spans_of(lying)] != [span.dtype for span in spans_of(content)]
    assert share(encoded(content)) < share(encoded(lying))


@settings(max_examples=60, deadline=2000)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BF16", "F16", "F32", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E5M2", "F4"]),
            st.sampled_from(["noise", "zeros", "bf16", "f32", "f64"]),
            st.integers(0, 60_000),
        ),
        max_size=8,
    )
)
def test_any_tensors_are_the_same_again(tensors: list[tuple[str, str, int]]) -> None:
    """Lengths that are no multiple of the element among them: a hint is only what a file says."""
    made = {"noise": noise(60_000), "zeros": bytes(60_000)}
    made |= {dtype: normal(dtype, 30_000)[:60_000] for dtype in ("bf16", "f32", "f64")}
    numbered = enumerate(tensors)
    encoded(safetensors_of((f"t{number}", kind, made[what][:size]) for number, (kind, what, size) in numbered))
