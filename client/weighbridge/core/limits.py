"""The limits of the protocol, as the API advertises them. Sizes are in bytes."""

CHUNK_BYTES = 2 * 1024 * 1024
"""Largest chunk, raw: encoded it is one gRPC message, under every implementation's 4 MiB default."""

DIGESTS_PER_MESSAGE = 16_384
FILES_PER_VERSION = 20_000
PATH_BYTES = 512
RECORD_BYTES = 64 * 1024

UPLOAD_CREDIT_BYTES = 32 * 1024 * 1024
"""Most payload one upload stream may have on its way without a verified ack."""

STATUS_DETAILS_BYTES = 4 * 1024
"""gRPC carries a status in the trailers, which peers cap at 8 KiB by default."""
