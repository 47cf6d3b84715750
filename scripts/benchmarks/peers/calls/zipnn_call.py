"""``zipnn_call.py FILE BEGIN END``: compresses that stretch of a file of bf16 numbers on one core, and back.

Run by an interpreter that has ZipNN, with nothing else of this repository. Two ways: the whole stretch in one call,
as its users do, and in pieces of 2 MiB one after the other. The second is quicker by half and more, since it uses the
same memory again; so does whoever moves chunks.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import zipnn

PIECE_BYTES = 2 * 1024 * 1024


def measure(raw: bytes, piece_bytes: int) -> tuple[float, float, int]:
    """The seconds of compressing and of decompressing, and the compressed bytes."""
    coder = zipnn.ZipNN(input_format="byte", bytearray_dtype="bfloat16", threads=1)
    encode_s = decode_s = 0.0
    stored_bytes = 0
    for start in range(0, len(raw), piece_bytes):
        piece = raw[start : start + piece_bytes]
        given = bytearray(piece)  # it rotates the bits where they are
        began = time.process_time()
        stored = coder.compress(given)
        encoded = time.process_time()
        back = coder.decompress(stored)
        decode_s += time.process_time() - encoded
        encode_s += encoded - began
        stored_bytes += len(stored)
        if back != piece:
            sys.exit("ZipNN did not give back what it was given")
    return encode_s, decode_s, stored_bytes


def main() -> None:
    """Prints the seconds and the size as JSON."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    begin, end = int(sys.argv[2]), int(sys.argv[3])
    with Path(sys.argv[1]).open("rb") as file:
        file.seek(begin)
        raw = file.read(end - begin)
    figures: dict[str, float] = {}
    for way, piece_bytes in (("whole", len(raw)), ("pieces", PIECE_BYTES)):
        measure(raw, piece_bytes)  # once before, so that the memory is there
        encode_s, decode_s, stored_bytes = measure(raw, piece_bytes)
        figures |= {f"{way}_encode_s": encode_s, f"{way}_decode_s": decode_s, f"{way}_stored_bytes": stored_bytes}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
