"""What a filter and an order of versions can name. ``SPEC.md`` has the same list."""

from __future__ import annotations

from weighbridge.core.values import ENVIRONMENT_TEXTS, SOURCE_TEXTS, Relation, Stage
from weighbridge_server.domain.expressions.types import Kind, Map, Message, Names, Rows, Scalar

_TEXT = Scalar(Kind.TEXT)
_SAID = Scalar(Kind.TEXT, always=True)
_NUMBER = Scalar(Kind.NUMBER)
_COUNTED = Scalar(Kind.NUMBER, always=True)

_METRIC = Message(
    "a metric",
    dict.fromkeys(("latest", "min", "max", "step", "points"), _COUNTED),
    itself="latest",
)
_DATASET = Message("a dataset", dict.fromkeys(("name", "version", "digest", "uri", "role"), _SAID))
_PARENT = Message(
    "a parent",
    {
        "ref": _SAID,
        "model": _SAID,
        "version": _COUNTED,
        "relation": Scalar(Kind.TEXT, tuple(map(str, Relation)), always=True),
    },
)
_SOURCE = Message(
    "the code",
    {
        **dict.fromkeys(SOURCE_TEXTS, _TEXT),
        "dirty": Scalar(Kind.TRUTH),
    },
)
_ENVIRONMENT = Message(
    "the environment",
    {
        **dict.fromkeys(ENVIRONMENT_TEXTS, _TEXT),
        "cpu_count": _NUMBER,
        "packages": Map(_TEXT),
    },
)

VERSION = Message(
    "a version",
    {
        "model": _SAID,
        "version": _COUNTED,
        "ref": _SAID,
        "stage": Scalar(Kind.TEXT, tuple(map(str, Stage)), always=True),
        "aliases": Names(),
        "creator": _SAID,
        "created_time": Scalar(Kind.TIME, always=True),
        "manifest_digest": _SAID,
        "files_total": _COUNTED,
        "bytes_total": _COUNTED,
        "chunks_total": _COUNTED,
        "description": _SAID,
        "tags": Map(Scalar(Kind.VALUE)),
        "params": Map(Scalar(Kind.VALUE)),
        "metrics": Map(_METRIC),
        "energy": Message("the energy", {"kwh": _NUMBER, "gco2e": _NUMBER, "region": _TEXT, "method": _TEXT}),
        "datasets": Rows(_DATASET),
        "parents": Rows(_PARENT),
        "source": _SOURCE,
        "environment": _ENVIRONMENT,
    },
)
