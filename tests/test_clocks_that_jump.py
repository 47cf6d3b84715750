"""Clocks that jump, of the training job and of the server's process: nothing is lost, and no order is mixed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer

NewModel = Callable[[], str]
NOW = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
YEAR = timedelta(days=365)
JUMPS = [NOW, NOW - YEAR, NOW + 200 * YEAR, datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(microseconds=1), NOW]
"""A clock that was never set, that was set for a moment, and that was corrected."""

JUMPING = """
import itertools, time
truth, jumps = time.time_ns, itertools.cycle([0, 10**18, -10**18, 7])
time.time_ns = lambda: truth() + next(jumps)
time.time = lambda: time.time_ns() / 1e9
"""
"""A module that Python loads as it starts: 30 years to and fro, at each look."""


class JobClock:
    """The clock of this process, which is the training job: what stamps its points.

    Not ``time.time``, from which gRPC for Python counts its deadlines, for its core that sees the true time.
    """

    def __init__(self) -> None:
        self.now = NOW

    def time_ns(self) -> int:
        return round(self.now.timestamp()) * 10**9 + self.now.microsecond * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JobClock:
    clock = JobClock()
    monkeypatch.setattr("weighbridge.metric_stream.time_ns", clock.time_ns)
    return clock


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


def curve_of(client: wb.Client, ref: str, name: str) -> tuple[list[int], list[float], list[datetime]]:
    """Steps, values and times in the order in which they are kept."""
    curve = client.metrics(ref)[name]
    return curve.steps.tolist(), curve.values.tolist(), [time.replace(tzinfo=UTC) for time in curve.times.tolist()]


def latest_of(client: wb.Client, ref: str) -> dict[str, tuple[float, int]]:
    return {metric.name: (metric.latest, metric.step) for metric in client.version(ref).metrics or ()}


@pytest.mark.parametrize("apart", [False, True], ids=["in one request", "in a request each"])
def test_points_stay_in_the_order_of_their_steps_whatever_the_job_s_clock_says(
    client: wb.Client, new_model: NewModel, weights: Path, clock: JobClock, run_cli: RunCli, apart: bool
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        for step, clock.now in enumerate(JUMPS):
            version.log_metric("loss", 1 / (step + 1), step)
            if apart:
                version.wait()
    assert version.result is not None
    ref = version.result.version.ref
    expected = [1 / (step + 1) for step in range(len(JUMPS))]
    assert curve_of(client, ref, "loss") == (list(range(len(JUMPS))), expected, JUMPS)
    assert latest_of(client, ref) == {"loss": (expected[-1], len(JUMPS) - 1)}, "the highest step is the newest"
    rows = [line.split(",") for line in run_cli("metrics", ref, "--csv").out.splitlines()[1:]]
    assert [(int(step), float(value)) for _, step, _, value in rows] == list(enumerate(expected))


def test_among_points_of_one_step_the_latest_time_is_the_newest_and_then_the_last_that_came(
    client: wb.Client, new_model: NewModel, weights: Path, clock: JobClock
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        for value, clock.now in enumerate(JUMPS):
            version.log_metric("jumps", value)
        clock.now = NOW
        for value in range(3):
            version.log_metric("stands", value)
    assert version.result is not None
    ref = version.result.version.ref
    assert latest_of(client, ref) == {"jumps": (float(JUMPS.index(max(JUMPS))), 0), "stands": (2.0, 0)}
    assert curve_of(client, ref, "jumps")[1] == [float(value) for value in range(len(JUMPS))], "none is lost"


def test_late_points_from_before_the_version_are_kept_behind_the_others(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    ref = client.push(new_model(), weights, capture=False).version.ref
    for step, moment in enumerate(JUMPS):
        client.log_metrics(ref, [wb.MetricPoint("auc", step, step, moment)])
    assert curve_of(client, ref, "auc") == (list(range(len(JUMPS))), [float(step) for step in range(6)], JUMPS)
    assert latest_of(client, ref) == {"auc": (5.0, 5)}


@pytest.fixture
def jumping_server(data_dir: Path, tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose process sees another time at each look, beside a database that sees the true one."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    running = RunningServer(data_dir, environment={"PYTHONPATH": str(tmp_path)}).start()
    yield running
    running.stop()


@pytest.mark.long
def test_what_the_server_says_of_time_is_the_database_s_clock(
    jumping_server: RunningServer, clock: JobClock, weights: Path
) -> None:
    began = datetime.now(UTC)
    clock.now = NOW - 20 * YEAR
    with jumping_server.connect() as client:
        client.create_model("a.b.c", description="made while no clock can be trusted")
        with client.begin("a.b.c", capture=False) as version:
            version.add(weights)
            version.log_metric("loss", 0.5)
            version.wait()
            clock.now = NOW + 20 * YEAR
            version.log_metric("loss", 0.25, 1)
        client.push("a.b.c", weights, capture=False)
        client.set_alias("a.b.c", "champion", 1)
        moved = client.set_alias("a.b.c", "champion", 2)
        deployed = client.report_deployment(node="n1", ref="a.b.c:2", alias="champion", ttl_s=3600)
        deleted = client.delete_version("a.b.c:1", reason="the clock was wrong")
        assert deleted.deletion is not None
        said = [
            client.model("a.b.c").created_time,
            *(version.created_time for version in client.versions("a.b.c", deleted=True)),
            deployed.reported_time,
            moved.moved_time,
            deleted.deletion.time,
            *(event.time for event in client.events()),
        ]
        assert all(began <= moment <= datetime.now(UTC) for moment in said)
        revisions = [(event.revision, event.time) for event in client.events()]
        assert revisions == sorted(revisions, key=lambda item: item[1]), "the order of revisions is that of time"
        assert [item.node for item in client.deployments("a.b.c", live=True)] == ["n1"]
        assert [move.ref for move in client.alias_history("a.b.c@champion", at=datetime.now(UTC))] == ["a.b.c:2"]
        assert list(client.alias_history("a.b.c@champion", at=began)) == []
        client.restore_version("a.b.c:1")
        assert curve_of(client, "a.b.c:1", "loss")[:2] == ([0, 1], [0.5, 0.25])
