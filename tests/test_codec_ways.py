"""Which codec a chunk gets: what its bytes pay for; what they are said to be costs size at most, never a byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_weights
from made_weights import DTYPES
from test_codec_planes import elements
from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES

SIZES = {
    "the smallest chunk": 1,
    "too small for a try": 7,
    "the smallest that is tried": 8,
    "an odd one": 1001,
    "the largest planes of 2 that are not probed": 2 * (16 * 1024 - 1),
    "the smallest planes of 2 that are probed": 2 * 16 * 1024,
    "the largest that is its own sample": 48 * 1024,
    "the smallest of which a sample is taken, with slices that begin at no element": 48 * 1024 + 1,
    "the largest planes of 4 that are not probed, and three bytes": 4 * (16 * 1024 - 1) + 3,
    "the smallest planes of 4 that are probed": 4 * 16 * 1024,
    "the largest planes of 8 that are not probed, and seven bytes": 8 * (16 * 1024 - 1) + 7,
    "the smallest planes of 8 that are probed": 8 * 16 * 1024,
}

WORTHWHILE = 63 / 64
"""A payload is kept where it is no longer than this share of its chunk."""

HINTS = (*DTYPES, None, "", "c64")


def encoded(raw: bytes, dtype: str | None) -> EncodedChunk:
    """The chunk, after what must hold for every one was seen to hold."""
    chunk = encode_chunk(raw, chunk_digest(raw), dtype)
    assert open_chunk(chunk) == raw
    if chunk.codec is Codec.RAW:
        assert chunk.payload is raw
    else:
        assert len(chunk.payload) <= len(raw) * WORTHWHILE
    return chunk


@cache
def mixed() -> bytes:
    """Some of everything, so that a sample need not be like the rest."""
    part = CHUNK_BYTES // 64
    weights = [made_weights.normal(dtype, part // 4)[:part] for dtype in ("bf16", "f16", "f32", "f64")]
    return b"".join([made_weights.noise(part), bytes(part), *weights, b"token " * (part // 6)])


CONTENTS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(1 << 18),
    "noise": lambda: made_weights.noise(1 << 18),
    "weights of 2 bytes": lambda: made_weights.normal("bf16", 1 << 17),
    "weights of 4 bytes": lambda: made_weights.normal("f32", 1 << 16),
    "weights of 8 bytes": lambda: made_weights.normal("f64", 1 << 15),
    "a bit of everything": mixed,
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_whatever_bytes_are_said_to_be_they_come_out(content: Callable[[], bytes], size: int) -> None:
    raw = content()[-size:]
    for dtype in HINTS:
        encoded(raw, dtype)


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """Floats of a width, or any bytes, several times over and with something before or behind them."""
    unit: bytes = draw(st.one_of(st.binary(min_size=1, max_size=1500), *(elements(width) for width in (2, 4, 8))))
    around = st.binary(max_size=9)
    return draw(around) + unit * draw(st.integers(1, 12)) + draw(around)


@given(chunks(), st.sampled_from(HINTS))
def test_any_bytes_come_out_whatever_they_are_said_to_be(raw: bytes, dtype: str | None) -> None:
    encoded(raw, dtype)


@given(chunks(), st.text(max_size=5))
def test_a_dtype_of_a_later_release_is_as_good_as_none(raw: bytes, dtype: str) -> None:
    if dtype not in DTYPES:
        assert encoded(raw, dtype) == encoded(raw, None)


@pytest.mark.parametrize("dtype", ["f16", "f32", "f64"])
@given(st.lists(st.floats(width=16), min_size=1, max_size=400), st.integers(1, 20))
def test_any_floats_come_out(dtype: str, values: list[float], times: int) -> None:
    """NaNs, infinities, subnormals and zeros of both signs, bit for bit."""
    encoded(numpy.array(values * times, f"<f{int(dtype[1:]) // 8}").tobytes(), dtype)


# What it comes to


@dataclass(frozen=True)
class Expected:
    """A chunk, what it is said to hold, and what it must come to."""

    raw: Callable[[], bytes]
    dtype: str
    codec: Codec
    most: float
    """Largest share of its size. The smallest that is possible is in a comment beside it."""


def exponents_spread_as_normal() -> float:
    """Shannon's entropy of the exponents of normally distributed f32, as a share of the eight bits they take."""
    bits = numpy.frombuffer(made_weights.normal("f32", 1 << 19), "<u4") >> 23 & 0xFF
    shares = numpy.bincount(bits) / len(bits)
    shares = shares[shares > 0]
    return float(-(shares * numpy.log2(shares)).sum() / 8)


ROW = 1024

CASES = {
    # An exponent plane comes to 0.33 of its size, and signs with mantissas to all of theirs.
    "bf16 weights": Expected(lambda: made_weights.normal("bf16", 1 << 20), "bf16", Codec.PLANES, 0.667),
    "wider bf16 weights": Expected(lambda: made_weights.normal("bf16", 1 << 20, 1.0), "bf16", Codec.PLANES, 0.667),
    # The same exponent plane beside three that stay.
    "f32 weights": Expected(lambda: made_weights.normal("f32", 1 << 19), "f32", Codec.PLANES, 0.8333),
    # Five bits of exponent and three of mantissa: 2.5 bits are saved of 16.
    "f16 weights": Expected(lambda: made_weights.normal("f16", 1 << 20), "f16", Codec.PLANES, 0.85),
    # The first plane as before; the three lower bits of the exponent are in the second, beside mantissa.
    "f64 weights": Expected(lambda: made_weights.normal("f64", 1 << 18), "f64", Codec.PLANES, 0.9),
    # As bf16, and half of the planes are zeros: 0.664 / 2.
    "bf16 weights as f32": Expected(
        lambda: made_weights.upcast(made_weights.normal("bf16", 1 << 19)), "f32", Codec.PLANES, 0.34
    ),
    # A quantized weight is normal with a deviation of 30: log2(30 * sqrt(2 * pi * e)) = 6.95 bits of 8.
    "i8 weights": Expected(lambda: made_weights.whole("i8", 1 << 20, 30), "i8", Codec.ZSTD, 0.89),
    # As i8, with a sign beside it that takes a bit.
    "i16 weights": Expected(lambda: made_weights.whole("i16", 1 << 20, 30), "i16", Codec.PLANES, 0.54),
    # Two bytes of noise under two of zeros.
    "u32 token ids": Expected(
        lambda: (numpy.frombuffer(made_weights.noise(1 << 20), "<u2").astype("<u4")).tobytes(),
        "u32",
        Codec.PLANES,
        0.501,
    ),
    # Seven planes that change every 256th element or never, and one that counts.
    "i64 positions": Expected(lambda: numpy.arange(1 << 18, dtype="<i8").tobytes(), "i64", Codec.PLANES, 0.01),
    # One in ten: 0.47 bits of 8, and no Huffman code is shorter than a bit.
    "a mask": Expected(lambda: bytes(byte < 26 for byte in made_weights.noise(1 << 20)), "bool", Codec.ZSTD, 0.13),
    # Floats that repeat themselves are left to matching.
    "bf16 zeros": Expected(lambda: bytes(CHUNK_BYTES), "bf16", Codec.ZSTD, 0.001),
    "f32 zeros": Expected(lambda: bytes(CHUNK_BYTES), "f32", Codec.ZSTD, 0.001),
    "tied rows of bf16": Expected(
        lambda: made_weights.normal("bf16", ROW) * (CHUNK_BYTES // ROW // 2), "bf16", Codec.ZSTD, 0.01
    ),
    "text": Expected(lambda: b'{"layer": 12, "scale": 0.25}, ' * 60_000, "u8", Codec.ZSTD, 0.01),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_chunk_comes_to(name: str) -> None:
    case = CASES[name]
    chunk = encoded(case.raw(), case.dtype)
    assert chunk.codec is case.codec
    assert len(chunk.payload) <= case.most * chunk.raw_bytes


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "f" in case.dtype])
def test_floats_that_nobody_announced_come_to_the_same(name: str) -> None:
    """Checkpoints of PyTorch do not say what they hold."""
    case = CASES[name]
    chunk = encoded(case.raw(), None)
    assert len(chunk.payload) <= case.most * chunk.raw_bytes


@pytest.mark.parametrize(("dtype", "others"), [("bf16", 1), ("f32", 3)])
def test_the_exponents_come_close_to_their_entropy(dtype: str, others: int) -> None:
    """Within 3 %: what Huffman's code loses to the entropy, with tables and heads."""
    raw = made_weights.normal(dtype, CHUNK_BYTES // (others + 1))
    exponents = len(encoded(raw, dtype).payload) / len(raw) * (others + 1) - others
    assert exponents_spread_as_normal() < exponents < 1.03 * exponents_spread_as_normal()


@pytest.mark.parametrize("size", [100, 5000, 48 * 1024 + 1, CHUNK_BYTES])
@pytest.mark.parametrize("dtype", HINTS)
def test_noise_stays_as_it_is(dtype: str | None, size: int) -> None:
    assert encoded(made_weights.noise(size), dtype).codec is Codec.RAW


@pytest.mark.parametrize("dtype", HINTS)
def test_zeros_take_next_to_nothing(dtype: str | None) -> None:
    assert len(encoded(bytes(CHUNK_BYTES), dtype).payload) < 1024


def test_what_saves_less_than_a_64th_is_left_as_it_is() -> None:
    """Every reader pays for decoding it."""
    noise = made_weights.noise(40_000)
    shares = {zeros: encoded(noise[zeros:] + bytes(zeros), "u8") for zeros in range(0, 2000, 50)}
    kept = [zeros for zeros, chunk in shares.items() if chunk.codec is not Codec.RAW]
    assert kept == list(range(kept[0], 2000, 50))
    assert kept[0] >= 40_000 / 64


@pytest.mark.parametrize("stated", DTYPES)
@pytest.mark.parametrize("dtype", ["bf16", "f32"])
def test_a_lie_about_weights_costs_size_alone(dtype: str, stated: str) -> None:
    raw = made_weights.normal(dtype, 100_000)
    assert len(encoded(raw, stated).payload) >= len(encoded(raw, dtype).payload)
