"""A payload of byte planes that lies is refused, at a bounded price: no other bytes, no other error, no room for it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import made_weights
import reference_planes
from reference_planes import KINDS, frame_of, payload_of
from test_codec import bomb, chunk_of, refused, refused_within
from test_codec_planes import each_kind
from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import open_chunk, planes_codec
from weighbridge.core.digest import chunk_digest
from weighbridge.core.errors import ChunkMismatch
from weighbridge.core.limits import CHUNK_BYTES

COUNT = 1000
"""Elements of the chunk that is lied about."""

MEMORY_MOST = 3 * CHUNK_BYTES + (1 << 20)
"""What an honest chunk takes too: its planes, their elements, and these with what is behind them."""


def plane(number: int) -> bytes:
    """Repeats itself, so that there is room for lies in what it saves; no two are alike."""
    return bytes([number, 100, 101]) * 400


class Honest:
    """A chunk of planes, all frames, and what to say of it otherwise."""

    def __init__(self, width: int, floats: int) -> None:
        self.width = width
        self.floats = floats
        self.planes = [plane(number)[:COUNT] for number in range(width)]
        self.parts = [frame_of(one) for one in self.planes]
        self.rest = b"rest..."[: width - 1]
        self.raw = reference_planes.put_together(self.planes, self.rest, floats)

    def chunk(self) -> EncodedChunk:
        """Without a lie."""
        return self.saying(payload_of(self.parts, self.floats, self.rest))

    def saying(self, payload: bytes) -> EncodedChunk:
        """With another payload."""
        return chunk_of(self.raw, payload, Codec.PLANES)

    def with_part(self, number: int, part: bytes) -> EncodedChunk:
        """With this in place of a plane's frame."""
        parts = [*self.parts[:number], part, *self.parts[number + 1 :]]
        return self.saying(payload_of(parts, self.floats, self.rest))

    def stating(self, lengths: Sequence[int]) -> EncodedChunk:
        """With other lengths of the same planes."""
        head = struct.pack(f"<BB{self.width}I", self.width, self.floats, *lengths)
        return self.saying(head + b"".join(self.parts) + self.rest)

    def lengths(self) -> list[int]:
        """Those it has."""
        return [len(part) for part in self.parts]


each_plane = pytest.mark.parametrize(
    ("width", "floats", "number"), [(width, floats, number) for width, floats in KINDS for number in range(width)]
)


@each_kind
def test_what_the_lies_start_from_is_taken(width: int, floats: int) -> None:
    """Otherwise they would prove nothing."""
    honest = Honest(width, floats)
    assert open_chunk(honest.chunk()) == honest.raw
    for number in range(width):
        assert open_chunk(honest.with_part(number, honest.planes[number])) == honest.raw
    assert open_chunk(honest.stating(honest.lengths())) == honest.raw


# The head


@each_kind
@pytest.mark.parametrize("stated", [0, 1, 3, 5, 6, 7, 9, 16, 255])
def test_another_width_is_refused(width: int, floats: int, stated: int) -> None:
    honest = Honest(width, floats)
    for kind in (0, 1):
        payload = payload_of(honest.parts, kind, honest.rest, width=stated)
        assert f"no planes of width {stated} " in refused(honest.saying(payload))


@each_kind
def test_the_width_of_another_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    for other in {2, 4, 8} - {width}:
        refused(honest.saying(payload_of(honest.parts, floats, honest.rest, width=other)))


@each_kind
def test_another_kind_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    for kind in (2, 3, 128, 255):
        assert f"and kind {kind}" in refused(honest.saying(payload_of(honest.parts, kind, honest.rest)))
    assert "the digest" in refused(honest.saying(payload_of(honest.parts, 1 - floats, honest.rest)))


@each_kind
def test_a_payload_cut_off_anywhere_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    payload = bytes(honest.chunk().payload)
    for length in range(1, len(payload)):
        refused(honest.saying(payload[:length]))


@each_kind
def test_something_behind_it_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    for more in (b"\0", b"more", bytes(honest.chunk().payload)):
        refused(honest.saying(bytes(honest.chunk().payload) + more))


@pytest.mark.parametrize("width", [2, 4, 8])
def test_a_chunk_without_a_whole_element_is_refused(width: int) -> None:
    for size in range(1, width):
        payload = payload_of([b""] * width, 0, bytes(size))
        refused(chunk_of(bytes(size), payload, Codec.PLANES))
        with pytest.raises(ValueError, match="no whole element"):  # whatever is checked before
            planes_codec.decode(payload, size)


# The lengths


@each_plane
def test_lengths_that_do_not_add_up_are_refused(width: int, floats: int, number: int) -> None:
    honest = Honest(width, floats)
    for more in (-1, 1, 8, COUNT, 2**31, 2**32 - 1 - honest.lengths()[number]):
        lengths = honest.lengths()
        lengths[number] += more
        assert "the planes' lengths" in refused(honest.stating(lengths))


@each_kind
def test_lengths_that_add_up_and_are_those_of_other_planes_are_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    total = sum(honest.lengths())
    for more in (-1, 1):
        first, second, *others = honest.lengths()
        refused(honest.stating([first + more, second - more, *others]))
    refused(honest.stating([total, *[0] * (width - 1)]))
    refused(honest.stating([*[0] * (width - 1), total]))


@each_kind
def test_lengths_that_add_up_in_32_bits_are_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    first, second, *others = honest.lengths()
    refused(honest.stating([first + 2**31, second + 2**31, *others]))


@each_plane
def test_a_length_above_the_plane_is_refused(width: int, floats: int, number: int) -> None:
    """Even where a whole frame of that length is there, which holds the plane: a sender has a shorter way."""
    honest = Honest(width, floats)
    honest.planes[number] = made_weights.noise(COUNT)
    honest.raw = reference_planes.put_together(honest.planes, honest.rest, floats)
    frame = frame_of(honest.planes[number])
    assert len(frame) > COUNT
    chunk = honest.with_part(number, frame)
    assert len(chunk.payload) < chunk.raw_bytes
    assert "the planes' lengths" in refused(chunk)


@each_plane
def test_a_plane_of_no_length_is_refused(width: int, floats: int, number: int) -> None:
    refused(Honest(width, floats).with_part(number, b""))


@each_kind
def test_another_rest_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    for length in set(range(width + 2)) - {len(honest.rest)}:
        refused(honest.saying(payload_of(honest.parts, floats, b"rest......"[:length])))
    refused(honest.saying(payload_of(honest.parts, floats, b"x" * len(honest.rest))))


@each_kind
def test_a_chunk_that_says_another_length_is_refused(width: int, floats: int) -> None:
    honest = Honest(width, floats)
    for more in (-width, -1, 1, 2, width, CHUNK_BYTES - len(honest.raw)):
        refused(replace(honest.chunk(), raw_bytes=len(honest.raw) + more))


# The frames


def unstated(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(raw)


def for_a_dictionary(raw: bytes) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(raw, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(raw)


def naming_a_dictionary(raw: bytes) -> bytes:
    """A frame that is whole without it."""
    frame = frame_of(raw)
    descriptor = 4
    return frame[:descriptor] + bytes([frame[descriptor] | 1, 77]) + frame[descriptor + 1 :]


def with_checksum_changed(raw: bytes) -> bytes:
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(raw)
    return frame[:-1] + bytes([frame[-1] ^ 1])


def skippable(raw: bytes, magic: int = 0x184D2A50) -> bytes:
    """A frame of so many bytes that holds nothing."""
    return struct.pack("<II", magic, len(raw)) + raw


SKIPPED = skippable(b"skip")

FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "that holds one byte less": lambda raw: frame_of(raw[:-1]),
    "that holds one byte more": lambda raw: frame_of(raw + b"\0"),
    "that holds nothing": lambda raw: frame_of(b""),
    "of other bytes": lambda raw: frame_of(raw[::-1]),
    "that states no size": unstated,
    "cut off": lambda raw: frame_of(raw)[:-1],
    "of which only the magic is there": lambda raw: frame_of(raw)[:4],
    "that is none": lambda raw: b"not a frame",
    "of another magic": lambda raw: b"\x27" + frame_of(raw)[1:],
    "followed by a byte": lambda raw: frame_of(raw) + b"\0",
    "followed by another": lambda raw: frame_of(raw) * 2,
    "followed by an empty one": lambda raw: frame_of(raw) + frame_of(b""),
    "after an empty one": lambda raw: frame_of(b"") + frame_of(raw),
    "of half of it, and one of the other half": lambda raw: frame_of(raw[:500]) + frame_of(raw[500:]),
    "that can be skipped": lambda raw: skippable(b"skip"),
    "after one that can be skipped": lambda raw: SKIPPED + frame_of(raw),
    "before one that can be skipped": lambda raw: frame_of(raw) + SKIPPED,
    "that can be skipped and says it is as long as the plane": lambda raw: skippable(raw)[:8],
    "for a dictionary": for_a_dictionary,
    "that names a dictionary": naming_a_dictionary,
    "whose checksum is another's": with_checksum_changed,
    "within a frame": lambda raw: frame_of(frame_of(raw)),
}


@each_kind
@pytest.mark.parametrize("name", FRAMES)
def test_a_plane_is_one_frame_and_no_other(width: int, floats: int, name: str) -> None:
    honest = Honest(width, floats)
    for number, whole in enumerate(honest.planes):
        part = FRAMES[name](whole)
        assert len(part) < COUNT  # or it would be taken for the plane as it is
        refused(honest.with_part(number, part))


@each_plane
def test_a_frame_that_states_another_size_is_refused(width: int, floats: int, number: int) -> None:
    """Before it is decoded: the refusal says so, whatever the frame holds."""
    honest = Honest(width, floats)
    frame = honest.parts[number]
    assert frame[5:7] == struct.pack("<H", COUNT - 256)
    for stated in (256, COUNT - 1, COUNT + 1, 65535 + 256):
        lie = frame[:5] + struct.pack("<H", stated - 256) + frame[7:]
        assert "states another size" in refused(honest.with_part(number, lie))


@each_plane
@pytest.mark.parametrize("states", ["1 GiB", "the plane"])
def test_a_bomb_in_a_plane_is_refused_without_room_for_it(width: int, floats: int, number: int, states: str) -> None:
    count = CHUNK_BYTES // width
    parts = [frame_of(bytes(count))] * width
    parts[number] = bomb(1 << 30 if states == "1 GiB" else count)
    chunk = EncodedChunk(chunk_digest(bytes(CHUNK_BYTES)), CHUNK_BYTES, Codec.PLANES, payload_of(parts, floats))
    honest = replace(chunk, payload=payload_of([frame_of(bytes(count))] * width, floats))
    assert open_chunk(honest) == bytes(CHUNK_BYTES)
    why = refused_within(2 * CHUNK_BYTES, chunk)
    assert ("states another size" in why) is (states == "1 GiB")


# Whatever else


@st.composite
def honest_chunks(draw: st.DrawFn) -> EncodedChunk:
    """Any chunk of planes of both forms; the first is always a frame, which pays for the head."""
    width, floats = draw(st.sampled_from(KINDS))
    count = draw(st.integers(100, 250))
    units = [draw(st.binary(min_size=1, max_size=3 if number == 0 else 99)) for number in range(width)]
    raw_planes = [(unit * count)[:count] for unit in units]
    framed = [number == 0 or draw(st.booleans()) for number in range(width)]
    parts = [min(one, frame_of(one), key=len) if frame else one for one, frame in zip(raw_planes, framed, strict=True)]
    rest = draw(st.binary(max_size=width - 1))
    raw = reference_planes.put_together(raw_planes, rest, floats)
    return chunk_of(raw, payload_of(parts, floats, rest), Codec.PLANES)


@st.composite
def damaged(draw: st.DrawFn) -> EncodedChunk:
    """With some bytes written over, put in or taken out, the first ones more often than others, or other lengths."""
    chunk = draw(honest_chunks())
    payload = bytearray(chunk.payload)
    width = payload[0]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, min(60, len(payload) - 1)), st.integers(0, len(payload) - 1)))
        raw = draw(st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff"])))
        payload[at : at + draw(st.sampled_from([len(raw), len(raw), len(raw), 0, 1]))] = raw
    raw_bytes = max(chunk.raw_bytes + draw(st.sampled_from([0, 0, 0, 1, -1, width, -width])), 1)
    return replace(chunk, payload=bytes(payload), raw_bytes=raw_bytes)


def agrees_with_the_reference(chunk: EncodedChunk) -> None:
    """Is taken exactly where a decoder written from SPEC.md takes it, and gives the same bytes."""
    payload = bytes(chunk.payload)
    try:
        expected = reference_planes.decode(payload, chunk.raw_bytes)
    except ValueError:
        refused(chunk)
        return
    if chunk_digest(expected) != chunk.digest:
        refused(chunk)
    chunk = replace(chunk, digest=chunk_digest(expected))
    if len(payload) > chunk.raw_bytes:
        refused(chunk)
    else:
        assert open_chunk(chunk) == expected


@settings(max_examples=600)
@given(damaged())
def test_a_damaged_payload_is_taken_or_refused_as_the_spec_says(chunk: EncodedChunk) -> None:
    agrees_with_the_reference(chunk)


@given(honest_chunks())
def test_an_honest_payload_is_taken_as_the_spec_says(chunk: EncodedChunk) -> None:
    agrees_with_the_reference(chunk)


@settings(max_examples=400)
@given(honest_chunks(), st.data())
def test_no_changed_byte_gives_other_bytes(chunk: EncodedChunk, data: st.DataObject) -> None:
    raw = bytes(open_chunk(chunk))
    changed = bytearray(chunk.payload)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ChunkMismatch):  # a bit that the format leaves free may change; the bytes may not
        assert open_chunk(replace(chunk, payload=bytes(changed))) == raw


@given(st.integers(1, CHUNK_BYTES), st.binary(min_size=1, max_size=400))
def test_anything_for_a_payload_is_refused(raw_bytes: int, payload: bytes) -> None:
    refused(EncodedChunk(chunk_digest(b"weights"), raw_bytes, Codec.PLANES, payload))


@st.composite
def lies(draw: st.DrawFn) -> EncodedChunk:
    """Heads that fit to planes that do not, or none of which is what the chunk should hold."""
    width, floats = draw(st.sampled_from(KINDS))
    raw_bytes = draw(st.one_of(st.integers(CHUNK_BYTES // 2, CHUNK_BYTES), st.integers(width, 5000)))
    count, left = divmod(raw_bytes, width)
    zeros = frame_of(bytes(count))
    part = st.one_of(
        st.sampled_from([zeros, zeros, zeros[:-1], bomb(count), bomb(1 << 30), SKIPPED, bytes(count)]),
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda raw: zeros[:6] + raw),
    )
    payload = payload_of([draw(part) for _ in range(width)], floats, bytes(left))
    return EncodedChunk(chunk_digest(b"weights"), raw_bytes, Codec.PLANES, payload)


@settings(max_examples=200)
@given(lies())
def test_no_lie_takes_more_memory_than_an_honest_chunk(chunk: EncodedChunk) -> None:
    open_chunk(Honest(2, 1).chunk())  # what stays, once it was needed, is there
    refused_within(MEMORY_MOST, chunk)
