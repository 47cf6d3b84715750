"""Versions that record much, pushed to the shared server: what tests of searching look for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

import weighbridge as wb
from conftest import RunningServer
from raw_client import RawClient, file_of, manifest_of, raw_chunk
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert

PROJECT = "find-these"
BIG, SMALL = f"{PROJECT}.text.big", f"{PROJECT}.text.small"
OURS = f'model.startsWith("{PROJECT}.")'
NAN, INFINITE = float("nan"), float("inf")

_FIRST = wb.Record(
    description="The first of all",
    params={"lr": 0.001, "layers": 12, "optimizer": "adam", "amp": True},
    tags={"hardware_target": "gpu", "cost center": 7, "reviewed": True, "größe 🦊": "groß"},
    datasets=[wb.Dataset("transactions", "2026-10", "sha256:00", "s3://bucket/t", "train")],
    source=wb.SourceCode("https://git.example.org/repo.git", "a" * 40, "main", entry_point="train.py"),
    environment=wb.Environment(
        python="3.11.7", os="Debian 12", cpu_count=96, packages={"torch": "2.1.0", "numpy": "2.0"}, host="node-1"
    ),
    energy=wb.Energy(kwh=2.0, gco2e=500.0, region="DE", method="meter"),
)
_SECOND = wb.Record(
    description="Distilled from the first",
    params={"lr": 0.01, "layers": 6},
    tags={"hardware_target": "cpu", "cost center": "seven", "reviewed": False},
    datasets=[
        wb.Dataset("transactions", "2026-11", "sha256:01", "", "train"),
        wb.Dataset("cases", "1", "", "", "test"),
    ],
    parents=[wb.Parent(f"{BIG}:1", wb.Relation.DISTILLED)],
    source=wb.SourceCode("https://git.example.org/repo.git", "b" * 40, dirty=True),
    environment=wb.Environment(python="3.12.1", packages={"torch": "2.2.0"}),
    energy=wb.Energy(kwh=0.0),
)
_THIRD = wb.Record(tags={"hardware_target": "gpu", "x": "'; DROP TABLE version; --"}, parents=[wb.Parent(f"{BIG}:2")])


@dataclass(frozen=True)
class Catalogue:
    """``big:1``, ``big:2``, ``big:3`` and ``small:1``, in this order; the last two record little."""

    client: wb.Client

    def find(self, condition: str, order_by: str = "") -> list[str]:
        """Those that a filter takes, without the project's name: ``big:1``."""
        versions = self.client.search(f"{OURS} && ({condition})", order_by=order_by)
        return [version.ref.removeprefix(f"{PROJECT}.text.") for version in versions]


@pytest.fixture(scope="module")
def catalogue(server: RunningServer) -> Iterator[Catalogue]:
    """The versions, pushed once for a module's tests; each module finds those of its own process."""
    with RawClient(server.address) as raw, server.connect() as client:
        if not any(model.name == BIG for model in client.models()):
            for model in (BIG, SMALL):
                raw.create(model)
            commit(raw, BIG, _FIRST, points("accuracy", 0.5, 0.9, 0.8), b"1")
            commit(raw, BIG, _SECOND, [*points("accuracy", 0.7), *points("val.loss", INFINITE)], b"1", b"2")
            commit(raw, BIG, _THIRD, points("accuracy", NAN), b"1", b"2", b"3")
            commit(raw, SMALL, wb.Record(), [], b"1")
        yield Catalogue(client)


def commit(
    raw: RawClient, model: str, record: wb.Record, metrics: Iterable[wb.MetricPoint], *contents: bytes
) -> versions_pb2.Version:
    """A version with this record, of a file for each content."""
    upload_id = raw.begin(model)
    raw.send(upload_id, *map(raw_chunk, contents))
    files = [file_of(f"{number}.bin", content) for number, content in enumerate(contents)]
    for entry, chunks in files:
        raw.put(upload_id, entry, chunks)
    return raw.versions.CommitVersion(
        versions_pb2.CommitVersionRequest(
            upload_id=upload_id,
            manifest_digest=manifest_of(*[entry for entry, _ in files]),
            record=convert.record_message(record),
            metrics=[convert.metric_message(point) for point in metrics],
        )
    )


def points(name: str, *values: float) -> list[wb.MetricPoint]:
    """A curve."""
    return [wb.MetricPoint(name, value, step) for step, value in enumerate(values)]
