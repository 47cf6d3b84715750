"""The limits of the protocol, as the API advertises them. Sizes are in bytes."""

from weighbridge.core.errors import LimitExceeded, Violation

MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest message that every implementation of gRPC takes by default."""

CHUNK_BYTES = 2 * 1024 * 1024
"""Largest chunk, raw: encoded it is one gRPC message, under every implementation's 4 MiB default."""

DIGESTS_PER_MESSAGE = 16_384
FILES_PER_VERSION = 20_000

CHUNKS_PER_VERSION = 1_048_576
"""Both sides hold a version's chunk lists in memory while it moves: some 240 MB at this limit, 2 TiB of file."""

PATH_BYTES = 512
RECORD_BYTES = 64 * 1024

CARD_BYTES = 64 * 1024
DESCRIPTION_BYTES = 4 * 1024
"""Of a model: one sentence, which lists show."""
NAME_CHARS = 256
"""Of an owner, a team or a contact."""
REASON_CHARS = 1024
SCHEMA_BYTES = 256 * 1024
"""Of the JSON of a schema."""

METRICS_PER_VERSION = 10_000
METRIC_POINTS_PER_VERSION = 10_000_000
"""Of all metrics together: 250 MB in the catalogue."""
METRIC_POINTS_PER_CALL = 65_536
"""In any encoding less than half of gRPC's 4 MiB."""

ALIASES_PER_MODEL = 500
"""They are listed in one message, each with its reason."""

UPLOAD_CREDIT_BYTES = 32 * 1024 * 1024
"""Most payload one upload stream may have on its way without a verified ack."""

STATUS_DETAILS_BYTES = 4 * 1024
"""gRPC carries a status in the trailers, which peers cap at 8 KiB by default."""


def record_too_long(size_bytes: int) -> LimitExceeded:
    """Of a record whose canonical text is longer than it may be."""
    return LimitExceeded(
        f"the record is {size_bytes} bytes long; at most {RECORD_BYTES} are kept. "
        "Push long texts and tables as files of the version",
        details={"limit": str(RECORD_BYTES), "actual": str(size_bytes)},
    )


def check_limit(what: str, actual: int, limit: int) -> None:
    """Raises LimitExceeded when a version would have more of something than it may."""
    if actual > limit:
        raise LimitExceeded(
            f"{actual} {what}; a version has at most {limit}. Pack small files together, or push several versions",
            details={"limit": str(limit), "actual": str(actual)},
        )


def check_metric_limit(what: str, actual: int, limit: int, path: str = "") -> None:
    """Raises LimitExceeded when a version would have more metrics, or points of them, than it may.

    ``path``: names the one that is too many.
    """
    if actual > limit:
        raise LimitExceeded(
            f"the version would have {actual} {what}; it has at most {limit}. Log fewer, or less often",
            violations=[Violation(path, "is one too many")] if path else (),
            details={"limit": str(limit), "actual": str(actual)},
        )
