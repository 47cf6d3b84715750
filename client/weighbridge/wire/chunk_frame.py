"""Chunks as the bytes of a message, without the message in between.

A protobuf message keeps a copy of a chunk's payload and serializing it makes another: at 2 MiB a chunk and some
forty streams that is most of a server's memory. The frame is what protobuf would write; a test compares them.
"""

from __future__ import annotations

from weighbridge.core.chunks import EncodedChunk
from weighbridge.v1 import transfer_pb2

_LENGTH_DELIMITED = 2
_PAYLOAD_TAG = bytes([transfer_pb2.Chunk.PAYLOAD_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_DOWNLOAD_TAG = bytes([transfer_pb2.DownloadChunksResponse.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])


def download_frame(chunk: EncodedChunk) -> bytes:
    """The bytes of a ``DownloadChunksResponse``; one copy of the payload."""
    head = transfer_pb2.Chunk(
        digest=chunk.digest, raw_bytes=chunk.raw_bytes, codec=transfer_pb2.Codec.ValueType(chunk.codec)
    ).SerializeToString()
    head += _PAYLOAD_TAG + _varint(len(chunk.payload))
    return b"".join((_DOWNLOAD_TAG, _varint(len(head) + len(chunk.payload)), head, chunk.payload))


def _varint(number: int) -> bytes:
    """A number as protobuf writes lengths: seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
