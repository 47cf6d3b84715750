"""Byte planes go apart and together again, for every element there is; and they are those that SPEC.md describes."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy
import pytest
import zstandard
from hypothesis import assume, example, given
from hypothesis import strategies as st

import made_weights
import reference_planes
from reference_planes import KINDS, frame_of, payload_of
from test_codec import chunk_of
from weighbridge.core.chunks import Codec
from weighbridge.core.codec import encode_chunk, open_chunk, planes, planes_codec
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES

each_kind = pytest.mark.parametrize(("width", "floats"), KINDS)

SIZES = {
    "a single element": (1, 0),
    "elements and the longest rest": (3, -1),
    "planes of the longest length that a frame states in one byte": (255, 0),
    "planes of the first that takes two bytes": (256, 1),
    "planes too short to be probed": (16 * 1024 - 1, 0),
    "the shortest planes that are probed": (16 * 1024, 0),
    "planes of one zstd block": (128 * 1024, 0),
    "planes of one zstd block and a byte": (128 * 1024 + 1, 1),
}
"""Elements, and the bytes behind them; -1: as many as there can be."""


def sizes(width: int) -> dict[str, int]:
    """In bytes, for elements of this width."""
    found = {name: count * width + more % width for name, (count, more) in SIZES.items()}
    found["the largest chunk but one"] = CHUNK_BYTES - 1
    found["the largest chunk"] = CHUNK_BYTES
    return {name: size for name, size in found.items() if size <= CHUNK_BYTES}


each_size = pytest.mark.parametrize(
    ("width", "floats", "size"),
    [
        pytest.param(width, floats, size, id=f"{width}-{floats}-{name}")
        for width, floats in KINDS
        for name, size in sizes(width).items()
    ],
)

CONTENTS: dict[str, Callable[[int, int], bytes]] = {
    "zeros": lambda size, width: bytes(size),
    "noise": lambda size, width: made_weights.noise(CHUNK_BYTES)[:size],
    "weights": lambda size, width: made_weights.normal(f"f{8 * width}", CHUNK_BYTES // width)[:size],
}
each_content = pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())


def special(width: int) -> list[int]:
    """The floats of this width that something may go wrong with: their bits."""
    sign = 1 << (8 * width - 1)
    found = []
    for fraction_bits in {2: (7, 10), 4: (23,), 8: (52,)}[width]:
        infinity = (sign - 1) >> fraction_bits << fraction_bits
        quiet = infinity | 1 << (fraction_bits - 1)
        largest_subnormal = (1 << fraction_bits) - 1
        found += [infinity, infinity + 1, infinity + largest_subnormal, quiet, quiet + 5, infinity - 1]
        found += [0, 1, largest_subnormal, largest_subnormal + 1]
    return [bits | top for top in (0, sign) for bits in found]


@st.composite
def elements(draw: st.DrawFn, width: int, most: int = 300) -> bytes:
    """Infinities, NaNs with payloads, subnormals and zeros of both signs, among any others."""
    element = st.one_of(st.sampled_from(special(width)), st.integers(0, 256**width - 1), st.integers(0, 300))
    return b"".join(value.to_bytes(width, "little") for value in draw(st.lists(element, min_size=1, max_size=most)))


@st.composite
def kinds_and_bytes(draw: st.DrawFn) -> tuple[int, int, bytes]:
    """A width, a kind, and at least one element of that width, with something behind it or not."""
    width, floats = draw(st.sampled_from(KINDS))
    raw = draw(st.one_of(elements(width), st.binary(min_size=width, max_size=3000)))
    return width, floats, raw * draw(st.integers(1, 20)) + draw(st.binary(max_size=width))


def split(raw: bytes, width: int, floats: int) -> list[bytes]:
    with planes.split(raw, width, floats=bool(floats)) as parts:
        return [part.tobytes() for part in parts]


# Planes


@given(kinds_and_bytes())
def test_planes_join_to_what_was_split(case: tuple[int, int, bytes]) -> None:
    width, floats, raw = case
    raw = raw[: len(raw) // width * width]
    parts = split(raw, width, floats)
    assert [len(part) for part in parts] == [len(raw) // width] * width
    assert planes.join(parts, width, floats=bool(floats)) == raw


@given(st.sampled_from(KINDS), st.integers(1, 500), st.data())
def test_any_planes_are_those_of_what_they_join_to(kind: tuple[int, int], count: int, data: st.DataObject) -> None:
    """No two sets of planes give the same bytes: what a payload holds can be told from what it decodes to."""
    width, floats = kind
    parts = [data.draw(st.binary(min_size=count, max_size=count)) for _ in range(width)]
    assert split(bytes(planes.join(parts, width, floats=bool(floats))), width, floats) == parts


@each_kind
def test_every_sign_and_exponent_goes_apart_as_the_spec_says(width: int, floats: int) -> None:
    """All values of the highest 16 bits, above lower bits that differ from element to element."""
    lower = made_weights.noise(65536 * (width - 2))
    raw = b"".join(lower[at * (width - 2) : (at + 1) * (width - 2)] + at.to_bytes(2, "little") for at in range(1 << 16))
    expected, _ = reference_planes.take_apart(raw, width, floats)
    assert split(raw, width, floats) == expected
    assert planes.join(expected, width, floats=bool(floats)) == raw


def test_the_exponents_of_bf16_and_f32_are_the_first_plane() -> None:
    values = numpy.array([1.0, -1.0, 1.9, -3.0, 0.0, -0.0, numpy.inf, 2.0**-126], "<f4")
    exponents = bytes([127, 127, 127, 128, 0, 0, 255, 1])
    assert split(values.tobytes(), 4, 1)[0] == exponents
    assert split((values.view("<u4") >> 16).astype("<u2").tobytes(), 2, 1)[0] == exponents


def test_what_was_joined_stays_when_others_are_joined() -> None:
    """It is in memory of its own: many are at work at once, each with chunks on their way elsewhere."""
    raws = [made_weights.noise(4096, seed) for seed in range(40)]
    joined = [planes.join(split(raw, 4, 1), 4, floats=True) for raw in raws]
    assert joined == raws


# Payloads


@given(kinds_and_bytes())
def test_what_is_encoded_decodes(case: tuple[int, int, bytes]) -> None:
    width, floats, raw = case
    payload = planes_codec.encode(raw, width, floats=bool(floats))
    assert planes_codec.decode(payload, len(raw)) == raw


@given(kinds_and_bytes())
def test_a_decoder_written_from_the_spec_decodes_it(case: tuple[int, int, bytes]) -> None:
    width, floats, raw = case
    assert reference_planes.decode(planes_codec.encode(raw, width, floats=bool(floats)), len(raw)) == raw


@each_kind
def test_every_small_size_decodes_both_ways(width: int, floats: int) -> None:
    for size in range(width, 140):
        for raw in (bytes(size), made_weights.noise(size), b"\x80\x3f" * (size // 2) + bytes(size % 2)):
            payload = planes_codec.encode(raw, width, floats=bool(floats))
            assert planes_codec.decode(payload, size) == raw == reference_planes.decode(payload, size)


@each_content
@each_size
def test_every_size_decodes(width: int, floats: int, size: int, content: Callable[[int, int], bytes]) -> None:
    raw = content(size, width)
    payload = planes_codec.encode(raw, width, floats=bool(floats))
    assert planes_codec.decode(payload, size) == raw
    assert len(payload) <= 2 + 4 * width + size  # a plane that does not get shorter is as it is


def test_a_plane_that_is_noise_at_one_end_is_compressed_all_the_same() -> None:
    """Noise everywhere is known by a few places, and kept as it is; noise in one of them is not yet that."""
    half = 128 * 1024
    for lower in (made_weights.noise(half) + bytes(half), bytes(half) + made_weights.noise(half)):
        raw = reference_planes.put_together([bytes(2 * half), lower], b"", 1)
        assert half < len(planes_codec.encode(raw, 2, floats=True)) < 1.01 * half


@each_kind
def test_a_decoder_written_from_the_spec_decodes_frames_of_several_blocks(width: int, floats: int) -> None:
    raw = made_weights.normal(f"f{8 * width}", 130 * 1024)[: 140_000 * width // 2] + b"." * (width - 1)
    payload = planes_codec.encode(raw, width, floats=bool(floats))
    assert reference_planes.decode(payload, len(raw)) == raw


def in_pieces(plane: bytes) -> bytes:
    """A frame of a block for each half, as a stream is written that is flushed between."""
    writer = zstandard.ZstdCompressor().compressobj(size=len(plane))
    half = len(plane) // 2
    first = writer.compress(plane[:half]) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return first + writer.compress(plane[half:]) + writer.flush()


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda plane: plane,
    "level 1": frame_of,
    "level 19": lambda plane: zstandard.compress(plane, 19),
    "with a checksum": lambda plane: zstandard.ZstdCompressor(write_checksum=True).compress(plane),
    "level -5": lambda plane: zstandard.compress(plane, -5),
    "in pieces": in_pieces,
}


@given(st.sampled_from(KINDS), st.data())
def test_what_other_senders_may_choose_is_taken(kind: tuple[int, int], data: st.DataObject) -> None:
    """Each plane as it is or in any frame that is shorter."""
    width, floats = kind
    count = data.draw(st.integers(40, 600))
    units = [data.draw(st.binary(min_size=1, max_size=12)) for _ in range(width)]
    raw_planes = [(unit * count)[:count] for unit in units]
    chosen = [FRAMES[data.draw(st.sampled_from(sorted(FRAMES)))](plane) for plane in raw_planes]
    parts = [part if len(part) < count else plane for part, plane in zip(chosen, raw_planes, strict=True)]
    rest = data.draw(st.binary(max_size=width - 1))
    raw = reference_planes.put_together(raw_planes, rest, floats)
    payload = payload_of(parts, floats, rest)
    assume(len(payload) <= len(raw))
    assert open_chunk(chunk_of(raw, payload, Codec.PLANES)) == raw


@each_kind
def test_a_plane_that_looks_like_a_frame_is_taken_as_it_is(width: int, floats: int) -> None:
    """Its length alone says which it is."""
    frame = frame_of(bytes(200))
    plane = frame * 20
    raw = reference_planes.put_together([plane] + [bytes(len(plane))] * (width - 1), b"", floats)
    payload = payload_of([plane] + [frame_of(bytes(len(plane)))] * (width - 1), floats)
    assert open_chunk(chunk_of(raw, payload, Codec.PLANES)) == raw


# Threads and memory


def test_threads_do_not_share_memory_to_work_in() -> None:
    """All widths and lengths at once, each several times: every thread gets what one alone gets."""
    cases = [
        (made_weights.normal(dtype, count, seed=count), dtype)
        for dtype in ("bf16", "f16", "f32", "f64")
        for count in (700, 20_011, 100_003, 200_000)
    ] * 6
    alone = [bytes(encode_chunk(raw, chunk_digest(raw), dtype).payload) for raw, dtype in cases[: len(cases) // 6]] * 6

    def there_and_back(number: int) -> bool:
        raw, dtype = cases[number]
        chunk = encode_chunk(raw, chunk_digest(raw), dtype)
        return chunk.codec is Codec.PLANES and chunk.payload == alone[number] and open_chunk(chunk) == raw

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(there_and_back, range(len(cases))))


BENCH_BYTES = 3 * CHUNK_BYTES
"""What a core's bench holds: the planes of a chunk, and twice the room for its elements."""


def test_memory_to_work_in_grows_with_cores_and_not_with_threads() -> None:
    cores = os.cpu_count() or 1
    count = cores + 30
    raw = made_weights.normal("bf16", CHUNK_BYTES // 2)
    digest = chunk_digest(raw)
    together = Barrier(count)

    def there_and_back() -> bool:
        together.wait(60)
        return open_chunk(encode_chunk(raw, digest, "bf16")) == raw

    tracemalloc.start()
    try:
        with ThreadPoolExecutor(count) as threads:
            done = [threads.submit(there_and_back) for _ in range(count)]
            assert all(future.result() for future in done)
            del done
            kept, _ = tracemalloc.get_traced_memory()  # the threads are alive: what each keeps counts
    finally:
        tracemalloc.stop()
    assert kept < cores * BENCH_BYTES + count * 128 * 1024


@each_kind
def test_opening_takes_three_times_the_chunk(width: int, floats: int) -> None:
    """The planes, their elements, and these again where something is behind them; with a little for Python."""
    every_plane_a_frame = bytes(value % 16 for value in range(256))
    raw = made_weights.noise(CHUNK_BYTES - 1).translate(every_plane_a_frame)
    chunk = chunk_of(raw, planes_codec.encode(raw, width, floats=bool(floats)), Codec.PLANES)
    assert open_chunk(chunk) == raw  # what stays is there
    tracemalloc.start()
    try:
        open_chunk(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * CHUNK_BYTES + 64 * 1024


OUT_OF_MEMORY = """
import os, resource
from weighbridge.core.codec import planes, planes_codec

raw = bytes(range(64))
held = resource.getrlimit(resource.RLIMIT_AS)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 512 * 1024, held[1]))
failed = 0
for _ in range(2 * os.cpu_count()):
    try:
        planes_codec.encode(raw, 2, floats=True)
    except MemoryError:
        failed += 1
resource.setrlimit(resource.RLIMIT_AS, held)
payload = planes_codec.encode(raw, 2, floats=True)
assert planes_codec.decode(payload, len(raw)) == raw
print(failed == 2 * os.cpu_count())
"""


def test_a_moment_without_memory_costs_no_place_to_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_numpy_is_loaded_with_the_first_chunk_that_needs_it() -> None:
    code = "import sys, weighbridge.core.codec; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


@example(b"\0" * 8, 1)
@given(st.binary(min_size=8, max_size=64), st.integers(1, 40))
def test_encoding_the_same_bytes_gives_the_same_payload(unit: bytes, times: int) -> None:
    """Whatever was in the memory before."""
    raw = unit * times
    first = planes_codec.encode(raw, 8, floats=True)
    planes_codec.encode(made_weights.noise(5000), 4, floats=False)
    assert planes_codec.encode(raw, 8, floats=True) == first
