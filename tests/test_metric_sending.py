"""Points of metrics on their way: the server dies, is away, refuses or lies, and no point is lost or counted twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

import weighbridge as wb
from conftest import RunningServer
from hostile_server import MODEL, HostileServer
from raw_client import PATIENCE_S, wait_until
from weighbridge import metric_stream
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire.status import to_status

pytest_plugins = ("hostile_fixtures",)
pytestmark = pytest.mark.usefixtures("cache_dir")

Log = versions_pb2.LogMetricsRequest


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


def log_calls(server: RunningServer) -> int:
    """How many LogMetrics the server has answered."""
    return sum(line.get("method") == "LogMetrics" and line["code"] == "OK" for line in server.log_lines())


def more_log_calls(server: RunningServer, than: int) -> bool:
    return log_calls(server) > than


def answer(error: wb.WeighbridgeError, context: grpc.ServicerContext) -> Any:
    """Ends a call with an error."""
    context.abort_with_status(rpc_status.to_status(to_status(error)))


# -- a server that dies ------------------------------------------------------------------------------


@pytest.mark.long
def test_points_survive_kill_9_in_the_middle_of_training(own_server: RunningServer, weights: Path) -> None:
    """Training goes on meanwhile, and knows nothing of it."""
    own_server.listen = own_server.address
    ended = threading.Event()
    logged = 0

    def train(version: wb.VersionInProgress) -> None:
        nonlocal logged
        while not ended.is_set():
            version.log_metric("loss", logged * 0.5, logged)
            version.log_metric(f"rate-{logged % 3}", logged)
            logged += 1
            if logged % 100 == 0:
                ended.wait(0.01)

    with own_server.connect() as client, ThreadPoolExecutor(1) as threads:
        with client.begin("a.b.c", capture=False) as version:
            version.add(weights)
            training = threads.submit(train, version)
            try:
                for _ in range(3):
                    wait_until(partial(more_log_calls, own_server, log_calls(own_server)))
                    own_server.kill()
                    own_server.start()
            finally:
                ended.set()
                training.result(PATIENCE_S)
        curves = client.metrics("a.b.c")
        assert curves["loss"].steps.tolist() == list(range(logged))
        for number in range(3):
            assert curves[f"rate-{number}"].values.tolist() == list(range(number, logged, 3))
    ended_with = {line["code"] for line in own_server.log_lines() if line.get("method") == "LogMetrics"}
    assert ended_with == {"OK"}


@pytest.mark.long
def test_a_commit_that_waits_in_vain_says_so_and_can_be_tried_again(own_server: RunningServer, weights: Path) -> None:
    own_server.listen = own_server.address
    with wb.connect(own_server.address, retry_limit_s=10) as client:
        version = client.begin("a.b.c", capture=False)
        version.add(weights)
        version.log_metric("loss", 0.5, step=1)
        version.wait()
        own_server.signal(signal.SIGKILL)
        version.log_metric("loss", 0.25, step=2)
        with pytest.raises(wb.Unavailable, match=r"wait to be sent: 1$"):
            version.commit()
        version.log_metric("loss", 0.125, step=3)
        own_server.start()
        assert version.commit().version.ref == "a.b.c:1"
        assert client.metrics("a.b.c")["loss"].values.tolist() == [0.5, 0.25, 0.125]


# -- a server that is away ---------------------------------------------------------------------------


def test_while_the_server_is_away_points_wait_up_to_a_limit(
    hostile: HostileServer, sdk: wb.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_stream, "BUFFERED_POINTS", 10_000)
    tries: list[tuple[int, int]] = []
    here = threading.Event()
    kept: list[float] = []

    def away(request: Log, context: grpc.ServicerContext) -> Any:
        tries.append((request.first_sequence, sum(len(curve.values) for curve in request.curves)))
        if not here.is_set():
            return answer(wb.Unavailable("no database"), context)
        kept.extend(request.curves[0].values)
        return hostile._log_metrics(request, context)

    hostile.log_metrics = away
    with sdk.begin(MODEL, capture=False) as version:
        version.log_metric("loss", 0)
        wait_until(lambda: tries)
        for step in range(1, 10_000):
            version.log_metric("loss", step)
        with pytest.raises(wb.Unavailable, match=r"no database\. Points of metrics that wait to be sent: 10000"):
            version.log_metric("loss", 10_000)
        here.set()
        wait_until(lambda: kept)
        version.log_metric("loss", 10_000)  # there is room again
    assert kept == list(range(10_001))
    assert set(tries[: tries.index((1, 1)) + 1]) == {(1, 1)}
    assert [first for first, _ in tries] == sorted(first for first, _ in tries)
    assert tries.count((1, 1)) > 1  # the same request, until it was answered


def test_a_slow_server_slows_logging_and_fails_nothing(
    hostile: HostileServer, sdk: wb.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_stream, "BUFFERED_POINTS", 1000)
    monkeypatch.setattr(metric_stream, "SEND_POINTS", 100)
    kept: list[float] = []

    def slow(request: Log, context: grpc.ServicerContext) -> Any:
        kept.extend(request.curves[0].values)
        return hostile._log_metrics(request, context)

    hostile.log_metrics = slow
    with sdk.begin(MODEL, capture=False) as version:
        for step in range(20_000):
            version.log_metric("loss", step)
    assert kept == list(range(20_000))


# -- a server that refuses, or lies ------------------------------------------------------------------


def test_a_refusal_is_raised_by_what_is_logged_next_and_by_the_commit(hostile: HostileServer, sdk: wb.Client) -> None:
    refused = threading.Event()

    def refuse(request: Log, context: grpc.ServicerContext) -> Any:
        refused.set()
        return answer(wb.LimitExceeded("the version would have 10001 metrics; it has at most 10000"), context)

    hostile.log_metrics = refuse
    version = sdk.begin(MODEL, capture=False)
    version.log_metric("loss", 0.5)
    assert refused.wait(PATIENCE_S)

    def raised() -> bool:
        try:
            version.log_metric("loss", 0.25)
        except wb.LimitExceeded:
            return True
        return False

    wait_until(raised)
    with pytest.raises(wb.LimitExceeded, match="at most 10000"):
        version.commit()
    version.abort()
    assert hostile.calls == ["abort"]


def test_what_is_refused_is_dropped_and_said_once_and_the_rest_is_committed(
    hostile: HostileServer, sdk: wb.Client
) -> None:
    kept: dict[str, list[float]] = {}
    numbers: list[int] = []

    def choose(request: Log, context: grpc.ServicerContext) -> Any:
        names = [curve.name for curve in request.curves]
        if any(name.startswith("bad") for name in names):
            return answer(wb.LimitExceeded("too many", violations=[wb.Violation("metrics.bad", "is one")]), context)
        for curve in request.curves:
            kept.setdefault(curve.name, []).extend(curve.values)
            numbers.extend(range(request.first_sequence, request.first_sequence + len(curve.values)))
        return hostile._log_metrics(request, context)

    hostile.log_metrics = choose
    with (
        pytest.raises(wb.LimitExceeded, match=r"no others: 3 of 'bad', 1 of 'bad 2'") as raised,
        sdk.begin(MODEL, capture=False) as version,
    ):
        for step in range(3):
            version.log_metrics({"loss": step, "bad": step, "rate": step, "auc": step}, step)
        version.log_metric("bad 2", 1)
    assert [violation.path for violation in raised.value.violations] == ["metrics.bad"]
    assert "commit" not in hostile.calls
    version.log_metric("loss", 3, 3)
    version.commit()
    assert kept == {"loss": [0, 1, 2, 3], "rate": [0, 1, 2], "auc": [0, 1, 2]}
    assert numbers == list(range(1, 11))


def test_a_clock_beyond_year_9999_costs_the_points_that_it_stamped(
    client: wb.Client, new_model: Callable[[], str], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.log_metric("loss", 0.5, 1)
        version.wait()
        with monkeypatch.context() as clock:
            clock.setattr("weighbridge.metric_stream.time_ns", lambda: 10**21)
            version.log_metric("loss", 0.25, 2)
        with pytest.raises(wb.InvalidRequest, match=r"no others: 1 of 'loss'[^$]*beyond the years 1 to 9999"):
            version.wait()
        version.log_metric("loss", 0.125, 3)
    assert version.result is not None
    assert client.metrics(version.result.version.ref)["loss"].steps.tolist() == [1, 3]


SAID = "the version would have 10001 metrics; it has at most 10000. Log fewer, or less often"


@pytest.mark.long
def test_one_metric_too_many_is_refused_clearly_however_it_comes(
    client: wb.Client, new_model: Callable[[], str], weights: Path
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        with pytest.raises(wb.LimitExceeded) as at_once:
            version.log_metrics({f"layer-{number}": number for number in range(10_001)})
        for number in range(10_000):
            version.log_metric(f"layer-{number}", number)
        with pytest.raises(wb.LimitExceeded) as one_more:
            version.log_metric("one-more", 1)
        version.log_metric("layer-0", 2, step=1)
    assert (at_once.value.message, one_more.value.message) == (SAID, SAID)
    assert [violation.path for violation in one_more.value.violations] == ["metrics.one-more"]
    assert version.result is not None
    ref = version.result.version.ref
    assert len(client.metrics(ref)) == 10_000
    with pytest.raises(wb.LimitExceeded) as late:
        client.log_metrics(ref, [wb.MetricPoint(f"late-{number}", number) for number in range(10_001)])
    assert late.value.message == SAID


def test_one_point_too_many_is_refused_and_all_before_it_are_kept(
    client: wb.Client, new_model: Callable[[], str], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_stream, "METRIC_POINTS_PER_VERSION", 1000)
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        for step in range(1000):
            version.log_metric("loss", 0.5, step)
            if step == 300:
                version.wait()
        with pytest.raises(wb.LimitExceeded, match="would have 1001 points of metrics; it has at most 1000"):
            version.log_metric("loss", 0.5, 1000)
    assert version.result is not None
    assert client.metrics(version.result.version.ref)["loss"].steps.tolist() == list(range(1000))


@pytest.mark.parametrize("last", [0, 1, 3])
def test_an_answer_about_other_points_is_refused(hostile: HostileServer, sdk: wb.Client, last: int) -> None:
    hostile.log_metrics = lambda request, context: versions_pb2.LogMetricsResponse(last_sequence=last)
    with (
        pytest.raises(wb.DataLoss, match=f"was to keep points up to 2; it answers {last}"),
        sdk.begin(MODEL, capture=False) as version,
    ):
        version.log_metrics({"loss": 0.5, "rate": 0.1})
    assert "commit" not in hostile.calls


def test_nothing_is_sent_once_a_version_is_given_up(hostile: HostileServer, sdk: wb.Client) -> None:
    requests: list[Log] = []

    def count(request: Log, context: grpc.ServicerContext) -> Any:
        requests.append(request)
        return answer(wb.Unavailable("not now"), context)

    hostile.log_metrics = count
    with pytest.raises(RuntimeError, match="diverged"), sdk.begin(MODEL, capture=False) as version:
        version.log_metric("loss", 0.5)
        wait_until(lambda: requests)
        raise RuntimeError("diverged")
    assert hostile.calls == ["abort"]
    assert "weighbridge-metrics" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(wb.UsageError):
        version.log_metric("loss", 0.25)


def test_who_logs_nothing_has_no_thread_for_it(sdk: wb.Client) -> None:
    version = sdk.begin(MODEL, capture=False)
    assert "weighbridge-metrics" not in {thread.name for thread in threading.enumerate()}
    version.abort()


def test_several_threads_may_log(hostile: HostileServer, sdk: wb.Client) -> None:
    kept: list[tuple[str, int]] = []

    def keep(request: Log, context: grpc.ServicerContext) -> Any:
        kept.extend((curve.name, step) for curve in request.curves for step in curve.steps)
        return hostile._log_metrics(request, context)

    hostile.log_metrics = keep
    with ThreadPoolExecutor(4) as threads, sdk.begin(MODEL, capture=False) as version:

        def log(name: str) -> None:
            for step in range(5000):
                version.log_metric(name, 0.5, step)

        list(threads.map(log, ["a", "b", "c", "d"]))
    for name in "abcd":
        assert [step for of, step in kept if of == name] == list(range(5000))


Curves = Callable[[], Iterator[records_pb2.MetricCurve]]


def endless() -> Iterator[records_pb2.MetricCurve]:
    part = records_pb2.MetricCurve(name="loss", steps=[0] * 65_536, times_us=[0] * 65_536, values=[0] * 65_536)
    while True:
        yield part


def empty_forever() -> Iterator[records_pb2.MetricCurve]:
    while True:
        yield records_pb2.MetricCurve(name="loss")


def uneven() -> Iterator[records_pb2.MetricCurve]:
    yield records_pb2.MetricCurve(name="loss", steps=[1, 2], times_us=[1, 2], values=[0.5])


@pytest.mark.parametrize(
    ("curves", "error"),
    [(endless, wb.InternalError), (empty_forever, wb.InternalError), (uneven, wb.DataLoss)],
    ids=["endless", "empty forever", "uneven"],
)
def test_curves_that_are_none_are_refused(
    hostile: HostileServer, sdk: wb.Client, curves: Curves, error: type[wb.WeighbridgeError]
) -> None:
    hostile.metrics = lambda request, context: curves()
    with pytest.raises(error):
        sdk.metrics("a.b.c:1")


def test_reading_is_tried_again_as_a_whole(hostile: HostileServer, sdk: wb.Client) -> None:
    tries: list[int] = []

    def breaks_once(request: Any, context: grpc.ServicerContext) -> Iterator[records_pb2.MetricCurve]:
        tries.append(len(tries))
        for step in range(3):
            if step == 2 and len(tries) == 1:
                answer(wb.Unavailable("not now"), context)
            yield records_pb2.MetricCurve(name="loss", steps=[step], times_us=[0], values=[step])

    hostile.metrics = breaks_once
    sdk.resolve("a.b.c:1")
    assert sdk.metrics("a.b.c:1")["loss"].steps.tolist() == [0, 1, 2]
    assert tries == [0, 1]
