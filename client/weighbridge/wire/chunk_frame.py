"""Chunks as the bytes of a message, without the message in between.

A protobuf message keeps a copy of a chunk's payload, and serializing it makes another; so does parsing. At 2 MiB a
chunk that is a tenth of what a transfer costs, and with some sixty streams most of a server's memory. The frame is
what protobuf would write, and whatever else protobuf would read is left to it; tests compare the two.
"""

from __future__ import annotations

import re

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.v1 import transfer_pb2

_LENGTH_DELIMITED = 2
_PAYLOAD_TAG = bytes([transfer_pb2.Chunk.PAYLOAD_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_DOWNLOAD_TAG = bytes([transfer_pb2.DownloadChunksResponse.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_UPLOAD_TAG = bytes([transfer_pb2.UploadChunksRequest.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])

_VARINT = rb"([\x80-\xff]{0,3}[\x00-\x7f])"
_CODECS = b"".join(re.escape(bytes([codec])) for codec in Codec)
_HEAD = re.compile(
    rb"(.)" + _VARINT + rb"\x0a\x20(.{32})\x10" + _VARINT + rb"\x18([" + _CODECS + rb"])\x22" + _VARINT, re.DOTALL
)
_HEAD_BYTES = 64
"""More than the head of any chunk takes."""


def download_frame(chunk: EncodedChunk) -> bytes:
    """The bytes of a ``DownloadChunksResponse``; one copy of the payload."""
    return _frame(_DOWNLOAD_TAG, chunk)


def upload_frame(chunk: EncodedChunk) -> bytes:
    """The bytes of an ``UploadChunksRequest`` that carries a chunk; one copy of the payload."""
    return _frame(_UPLOAD_TAG, chunk)


def read_download(frame: bytes) -> EncodedChunk | transfer_pb2.DownloadChunksResponse:
    """The chunk of a frame as ``download_frame`` writes it, unverified, its payload a view; or protobuf's message."""
    return _chunk(_DOWNLOAD_TAG, frame) or transfer_pb2.DownloadChunksResponse.FromString(frame)


def read_upload(frame: bytes) -> EncodedChunk | transfer_pb2.UploadChunksRequest:
    """The chunk of a frame as ``upload_frame`` writes it, unverified, its payload a view; or protobuf's message.

    A chunk has kept the rules that ``transfer.proto`` states for its fields; a message has yet to be validated.
    """
    return _chunk(_UPLOAD_TAG, frame) or transfer_pb2.UploadChunksRequest.FromString(frame)


def _frame(tag: bytes, chunk: EncodedChunk) -> bytes:
    head = transfer_pb2.Chunk(
        digest=chunk.digest, raw_bytes=chunk.raw_bytes, codec=transfer_pb2.Codec.ValueType(chunk.codec)
    ).SerializeToString()
    head += _PAYLOAD_TAG + _varint(len(chunk.payload))
    return b"".join((tag, _varint(len(head) + len(chunk.payload)), head, chunk.payload))


def _chunk(tag: bytes, frame: bytes) -> EncodedChunk | None:
    """The chunk of a frame of exactly the form that ``_frame`` gives and within the limits; None for any other."""
    match = _HEAD.match(frame, 0, _HEAD_BYTES)
    if match is None or match[1] != tag:
        return None
    length, raw_bytes, payload_bytes = (_number(match[group]) for group in (2, 4, 6))
    if length != len(frame) - match.end(2) or payload_bytes != len(frame) - match.end():
        return None
    if not 1 <= raw_bytes <= CHUNK_BYTES or not 1 <= payload_bytes <= CHUNK_BYTES:
        return None
    return EncodedChunk(match[3], raw_bytes, Codec(match[5][0]), memoryview(frame)[match.end() :])


def _varint(number: int) -> bytes:
    """A number as protobuf writes lengths: seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _number(varint: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(varint))
