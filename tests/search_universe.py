"""A small world of versions for searching: few names, few values, so that what is asked for is often there."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

import weighbridge as wb
from search_reference import NAMES, NUMBERS, RELATIONS, TEXTS, Known
from storage_fixtures import Storage, chunk, file_of, open_storage
from weighbridge.core.manifest import manifest_digest

MODELS = ("search.one.a", "search.two.b", "search.two.c")
_METRIC_VALUES = (*NUMBERS, math.nan, math.inf, -math.inf)


def record_of(chance: random.Random) -> wb.Record:
    """A record of which each part may be there or not."""

    def some(values: tuple[str, ...]) -> str:
        return chance.choice(values)

    def scalar() -> wb.Scalar:
        numbers = [chance.choice(NUMBERS), chance.choice([-1, 0, 1, 2, 7])]
        candidates: list[wb.Scalar] = [*numbers, some(TEXTS), chance.random() < 0.5]
        return chance.choice(candidates)

    def scalars() -> dict[str, wb.Scalar]:
        return {name: scalar() for name in NAMES if chance.random() < 0.6}

    return wb.Record(
        description=some(TEXTS),
        params=scalars(),
        tags=scalars(),
        datasets=[
            wb.Dataset(some(("a", "b", "🦊")), some(("", "a", "1")), some(("", "a", "sha256:00")), "", some(("", "b")))
            for _ in range(chance.choice([0, 0, 1, 2]))
        ],
        source=chance.choice([None, wb.SourceCode(some(TEXTS), some(TEXTS), dirty=chance.random() < 0.5)]),
        environment=chance.choice(
            [
                None,
                wb.Environment(
                    python=some(("", "3.11.7", "a")),
                    cpu_count=chance.choice([0, 1, 2]),
                    packages=chance.choice([{}, {"numpy": "a"}, {"numpy": "2.0", "x y": "b"}, {"x y": "🦊"}]),
                ),
            ]
        ),
        energy=chance.choice(
            [
                None,
                wb.Energy(kwh=chance.choice([None, 0.0, 0.5, 2.0]), gco2e=chance.choice([None, 0.0, 7.0, 1e308])),
                wb.Energy(kwh=1.0, region=some(TEXTS)),
            ]
        ),
    )


def metrics_of(chance: random.Random) -> list[wb.MetricPoint]:
    """Up to two curves of up to three points."""
    return [
        wb.MetricPoint(name, chance.choice(_METRIC_VALUES), step)
        for name in ("m", "n.o")
        if chance.random() < 0.7
        for step in range(chance.choice([1, 1, 3]))
    ]


def fill(storage: Storage, count: int, seed: int) -> list[Known]:
    """Commits versions; the newest last."""
    chance = random.Random(seed)
    known: list[Known] = []
    for number in range(count):
        parents = [
            (parent.version.ref, chance.choice(RELATIONS))
            for parent in chance.sample(known, min(len(known), chance.choice([0, 0, 1, 2])))
        ]
        record = replace(
            record_of(chance), parents=[wb.Parent(ref, wb.Relation(relation)) for ref, relation in parents]
        )
        model, actor = chance.choice(MODELS), chance.choice(["ada", "a"])
        version = commit(storage, model, actor, record, metrics_of(chance), size=1 + number % 3)
        metrics = {metric.name: metric for metric in version.metrics or ()}
        known.append(Known(version, record, metrics, parents))
    return known


def commit(
    storage: Storage, model: str, actor: str, record: wb.Record, metrics: list[wb.MetricPoint], *, size: int = 1
) -> wb.Version:
    """One version."""
    upload_id = storage.begin(actor, model)
    chunks = [chunk(("search", number)) for number in range(size)]
    storage.send(upload_id, chunks, actor)
    files = [file_of(f"{number}.bin", [one]) for number, one in enumerate(chunks)]
    storage.uploads.put_manifest(actor, upload_id, files)
    return storage.uploads.commit(actor, upload_id, manifest_digest(files), record, metrics)


@contextmanager
def universe(url: str, path: Path, *, count: int = 60, seed: int = 7) -> Iterator[tuple[Storage, list[Known]]]:
    """A world in an empty database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with open_storage(url, path, connections=2) as storage:
        yield storage, fill(storage, count, seed)
