"""LogMetrics and GetMetrics as any client may call them: sequences, resends, limits, and other people's uploads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import weighbridge as wb
from conftest import RunningServer
from raw_client import RawClient, file_of, manifest_of, raw_chunk, refused
from weighbridge.core import limits
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire.channel import ACTOR_HEADER

NewModel = Callable[[], str]
Curve = records_pb2.MetricCurve


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    with RawClient(server.address) as client:
        yield client


@pytest.fixture
def upload(raw: RawClient, new_model: NewModel) -> str:
    """An open upload that has its file, and can be committed."""
    upload_id = raw.begin(raw.create(new_model()))
    raw.send(upload_id, raw_chunk(b"weights"))
    raw.put(upload_id, *file_of("weights.bin", b"weights"))
    return upload_id


def curve(name: str, *values: float, **lists: Any) -> Curve:
    return Curve(name=name, values=values, **lists)


def log(raw: RawClient, first: int, *curves: Curve, writer: str = "w", **target: Any) -> int:
    request = versions_pb2.LogMetricsRequest(writer=writer, first_sequence=first, curves=curves, **target)
    return raw.versions.LogMetrics(request).last_sequence


def commit(raw: RawClient, upload_id: str, **fields: Any) -> str:
    entry, _ = file_of("weights.bin", b"weights")
    request = versions_pb2.CommitVersionRequest(upload_id=upload_id, manifest_digest=manifest_of(entry), **fields)
    return raw.versions.CommitVersion(request).ref


def read(raw: RawClient, ref: str) -> dict[str, list[float]]:
    parts = raw.versions.GetMetrics(versions_pb2.GetMetricsRequest(ref=ref))
    curves: dict[str, list[float]] = {}
    for part in parts:
        curves.setdefault(part.name, []).extend(part.values)
    return curves


# -- sequences ---------------------------------------------------------------------------------------


def test_a_resend_adds_nothing(raw: RawClient, upload: str) -> None:
    for _ in range(3):
        assert log(raw, 1, curve("loss", 1, 2), curve("auc", 9), upload_id=upload) == 3
    assert log(raw, 4, curve("loss", 3), upload_id=upload) == 4
    assert log(raw, 1, curve("loss", 1, 2), curve("auc", 9), upload_id=upload) == 4
    assert read(raw, commit(raw, upload)) == {"auc": [9], "loss": [1, 2, 3]}


def test_of_an_overlap_the_rest_is_added(raw: RawClient, upload: str) -> None:
    log(raw, 1, curve("loss", 1, 2), curve("auc", 8), upload_id=upload)
    assert log(raw, 2, curve("loss", 2), curve("auc", 8, 9), curve("f1", 5), upload_id=upload) == 5
    assert read(raw, commit(raw, upload)) == {"auc": [8, 9], "f1": [5], "loss": [1, 2]}


def test_a_gap_is_refused_and_says_what_is_next(raw: RawClient, upload: str) -> None:
    refusal = refused(lambda: log(raw, 2, curve("loss", 1), upload_id=upload))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.violations == [("first_sequence", "is 2; the writer's next point is 1")]
    log(raw, 1, curve("loss", 1, 2, 3), upload_id=upload)
    refusal = refused(lambda: log(raw, 5, curve("loss", 5), upload_id=upload))
    assert refusal.violations == [("first_sequence", "is 5; the writer's next point is 4")]
    assert read(raw, commit(raw, upload)) == {"loss": [1, 2, 3]}


def test_each_writer_has_its_own_numbers(raw: RawClient, upload: str) -> None:
    log(raw, 1, curve("loss", 1, 2), upload_id=upload)
    assert log(raw, 1, curve("loss", 3), writer="other", upload_id=upload) == 1
    assert log(raw, 3, curve("loss", 4), upload_id=upload) == 3
    assert read(raw, commit(raw, upload)) == {"loss": [1, 2, 3, 4]}


def test_numbers_go_on_after_the_commit(raw: RawClient, client: wb.Client, upload: str) -> None:
    """What was sent to the upload and sent again to its version adds nothing, and is no event."""
    log(raw, 1, curve("loss", 1, 2), upload_id=upload)
    ref = commit(raw, upload)
    assert log(raw, 1, curve("loss", 1, 2), ref=ref) == 2
    assert list(client.events(resource=ref, action="version.metrics-logged")) == []
    assert log(raw, 2, curve("loss", 2, 3), ref=ref) == 3
    (event,) = client.events(resource=ref, action="version.metrics-logged")
    assert '"points":1,' in event.after
    assert read(raw, ref) == {"loss": [1, 2, 3]}


# -- the commit --------------------------------------------------------------------------------------


def test_points_of_the_commit_come_behind_and_once(raw: RawClient, client: wb.Client, upload: str) -> None:
    log(raw, 1, curve("loss", 1, 2), upload_id=upload)
    points = [records_pb2.MetricPoint(name=name, value=value) for name, value in (("loss", 3), ("auc", 7), ("loss", 4))]
    ref = commit(raw, upload, metrics=points)
    assert commit(raw, upload, metrics=points) == ref
    assert read(raw, ref) == {"auc": [7], "loss": [1, 2, 3, 4]}
    (event,) = client.events(resource=ref, action="version.committed")
    assert '"metric_points":5,' in event.after


def test_an_upload_that_ended_takes_no_points(raw: RawClient, upload: str) -> None:
    ref = commit(raw, upload)
    refusal = refused(lambda: log(raw, 1, curve("loss", 1), upload_id=upload))
    assert refusal.reason == "UPLOAD_ENDED"
    assert read(raw, ref) == {}


def test_somebody_elses_upload_takes_no_points(raw: RawClient, upload: str) -> None:
    request = versions_pb2.LogMetricsRequest(upload_id=upload, writer="w", first_sequence=1, curves=[curve("loss", 1)])
    theirs = ((ACTOR_HEADER, "somebody-else"),)
    assert refused(lambda: raw.versions.LogMetrics(request, metadata=theirs)).reason == "UPLOAD_NOT_FOUND"
    assert refused(lambda: log(raw, 1, curve("loss", 1), upload_id="no-such")).reason == "UPLOAD_NOT_FOUND"
    assert read(raw, commit(raw, upload)) == {}


def test_logging_renews_the_lease(raw: RawClient, upload: str) -> None:
    renew = versions_pb2.RenewUploadRequest(upload_id=upload)
    before = raw.versions.RenewUpload(renew).lease_expires_time.ToNanoseconds()
    log(raw, 1, curve("loss", 1), upload_id=upload)
    model = raw.versions.RenewUpload(renew)
    assert model.lease_expires_time.ToNanoseconds() > before


# -- what a request may hold -------------------------------------------------------------------------


def test_steps_and_times_may_be_left_out(raw: RawClient, upload: str) -> None:
    log(raw, 1, curve("auc", 0.5, 0.75), upload_id=upload)
    (part,) = raw.versions.GetMetrics(versions_pb2.GetMetricsRequest(ref=commit(raw, upload)))
    assert list(part.steps) == [0, 0]
    assert part.times_us[0] == part.times_us[1] > 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("curves", "paths"),
    [
        ([curve("loss")], ["metrics.loss"]),
        ([curve("loss", 1, steps=[1, 2])], ["metrics.loss"]),
        ([curve("loss", 1, 2, times_us=[1])], ["metrics.loss"]),
        ([curve("loss", 1, times_us=[-(2**63)])], ["metrics.loss"]),
        ([curve("loss", 1, times_us=[2**63 - 1])], ["metrics.loss"]),
        ([curve("loss", 1), curve("loss", 2)], ["metrics.loss"]),
        (
            [curve("a\0b", 1), curve("loss", 1, steps=[1, 2]), curve("auc")],
            ["metrics.a\\0b", "metrics.loss", "metrics.auc"],
        ),
        ([curve("", 1)], ["curves[0].name"]),
        ([], ["curves"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_curve_that_is_none_is_refused(raw: RawClient, upload: str, curves: list[Curve], paths: list[str]) -> None:
    refusal = refused(lambda: log(raw, 1, *curves, upload_id=upload))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [path.replace("\0", "\\0") for path, _ in refusal.violations] == paths


@pytest.mark.parametrize(("writer", "first"), [("", 1), ("w" * 129, 1), ("w", 0), ("w", 2**53)])
def test_writers_and_sequences_have_bounds(raw: RawClient, upload: str, writer: str, first: int) -> None:
    refusal = refused(lambda: log(raw, first, curve("loss", 1), writer=writer, upload_id=upload))
    assert refusal.reason == "INVALID_REQUEST"


def test_a_request_needs_a_target(raw: RawClient) -> None:
    assert refused(lambda: log(raw, 1, curve("loss", 1))).reason == "INVALID_REQUEST"
    assert refused(lambda: log(raw, 1, curve("loss", 1), ref="no.such.model")).reason == "MODEL_NOT_FOUND"


def test_the_limits_are_advertised_and_kept(raw: RawClient, upload: str) -> None:
    stated = raw.versions.RenewUpload(versions_pb2.RenewUploadRequest(upload_id=upload)).limits
    assert stated.metrics_per_version == limits.METRICS_PER_VERSION
    assert stated.metric_points_per_version == limits.METRIC_POINTS_PER_VERSION
    assert stated.metric_points_per_call == limits.METRIC_POINTS_PER_CALL
    most = curve("loss", *[math.nan] * stated.metric_points_per_call)
    assert log(raw, 1, most, upload_id=upload) == stated.metric_points_per_call
    refusal = refused(lambda: log(raw, 1, most, curve("auc", 1), writer="other", upload_id=upload))
    assert refusal.reason == "LIMIT_EXCEEDED"
    many = [curve(f"layer-{number}", number) for number in range(stated.metrics_per_version - 1)]
    log(raw, 1, *many, writer="layers", upload_id=upload)
    refusal = refused(lambda: log(raw, 1, curve("one-more", 1), writer="other", upload_id=upload))
    assert refusal.reason == "LIMIT_EXCEEDED"
    assert log(raw, 1, curve("layer-0", 2), writer="other", upload_id=upload) == 1
    curves = read(raw, commit(raw, upload))
    assert len(curves) == stated.metrics_per_version
    assert len(curves["loss"]) == stated.metric_points_per_call
    assert curves["layer-0"] == [0, 2]
