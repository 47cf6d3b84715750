"""Points of metrics on their way to an upload: kept here for a moment, and sent while training goes on.

What ``log`` costs is what training pays, and between two steps of a training the processor's caches hold none of this
code: so it touches little, and does nothing but append. A thread takes what has come every two seconds, and sends it
until it is answered; while the server is away, points wait here. Every request carries the number of its first point:
one that the server has already adds nothing.
"""

from __future__ import annotations

import math
import threading
import uuid
from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import time_ns
from typing import SupportsFloat

from weighbridge.core.errors import DataLoss, InvalidRequest, Violation, WeighbridgeError
from weighbridge.core.limits import METRIC_POINTS_PER_CALL
from weighbridge.core.record_check import metric_name_violations, metric_number_violations, whole_step
from weighbridge.given_up import GivenUp
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire.connection import Connection
from weighbridge.wire.retry import Patience

SEND_INTERVAL_S = 2.0
"""A call takes a millisecond of this process, however few points it has; nobody sees them before the commit."""
SEND_POINTS = 8192
"""So many are sent at once, without waiting for the interval's end."""

LOOSE_POINTS = 65_536
"""Most points that wait as they came; more are put into arrays, which take a sixth of the memory."""

BUFFERED_POINTS = 2_000_000
"""Most points that wait for the server, 24 bytes each: half an hour of a thousand a second."""


@dataclass
class _Points:
    """Points of one metric."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))


Batch = dict[str, _Points]
"""Points of one request, by metric."""


class MetricStream:
    """The metrics of one upload. Safe to use from several threads."""

    def __init__(self, connection: Connection, upload_id: str, given_up: GivenUp) -> None:
        """``given_up``: ends every wait for the server."""
        self._loose: deque[tuple[str, int, int, float]] = deque()
        """Name, step, time in ns and value, as they came."""
        self._names: set[str] = set()
        """Those that are known to be right."""
        self._attend_at = 0
        """``log`` looks around when so many points are loose."""
        self._connection = connection
        self._upload_id = upload_id
        self._given_up = given_up
        self._writer = uuid.uuid4().hex
        self._changed = threading.Condition()  # its lock guards all that follows, but for what is sent
        self._sending = threading.Lock()  # held by whoever sends: requests go one after the other
        self._buffer: Batch = {}
        self._buffered = 0
        self._outgoing: deque[Batch] = deque()
        self._outgoing_points = 0
        self._next_sequence = 1
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()  # of the thread; each has its own
        self._away: WeighbridgeError | None = None
        """Why what waits is not sent now; it is tried again."""
        self._fault: WeighbridgeError | None = None
        """Why nothing more will be sent."""

    def log(self, name: str, value: SupportsFloat, step: int) -> None:
        """Adds a point, as of now.

        Raises:
            InvalidRequest: the name or a number cannot be taken.
            WeighbridgeError: why points could not be sent: the server refused them, or has been away so long that
                there is no room for more.
        """
        loose = self._loose
        try:
            if (
                type(value) is float
                and type(step) is int
                and -(2**63) <= step < 2**63
                and name in self._names
                and len(loose) < self._attend_at
            ):
                loose.append((name, step, time_ns(), value))
                return
        except TypeError:
            pass  # the name is no text at all, which the check says
        self._log_carefully(name, value, step)

    def log_all(self, values: Mapping[str, SupportsFloat], step: int) -> None:
        """Adds a point to each of several metrics; to none, where one cannot be taken. Raises as ``log``."""
        wrong = [violation for name, value in values.items() for violation in _violations(name, value, step)]
        if wrong:
            raise _refused(wrong)
        for name, value in values.items():
            self.log(name, value, step)

    def flush(self) -> None:
        """Waits until every point is on the server.

        Raises:
            WeighbridgeError: why they cannot be sent; they stay here, for another try.
        """
        self._stop()
        with self._sending:
            if self._fault is not None:
                raise self._fault
            self._collect()
            while self._outgoing:
                try:
                    self._send_next(tried_again=True)
                except WeighbridgeError as error:
                    raise self._waiting(error) from error

    def end(self, why: WeighbridgeError) -> None:
        """Sends no more; ``why`` is raised by who logs more."""
        with self._changed:
            self._fault = why
        self._stop()

    # -- what ``log`` does seldom --------------------------------------------------------------

    def _log_carefully(self, name: str, value: SupportsFloat, step: int) -> None:
        wrong = list(_violations(name, value, step))
        if wrong:
            raise _refused(wrong)
        with self._changed:
            if len(self._loose) >= self._attend_at:
                self._attend()
            self._names.add(name)
            self._loose.append((name, whole_step(step), time_ns(), float(value)))

    def _attend(self) -> None:
        """Has the points sent, and waits, or fails, where there is no room for more."""
        if self._fault is not None:
            raise self._fault
        if self._thread is None or not self._thread.is_alive():
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=[self._stopping], name="weighbridge-metrics", daemon=True
            )
            self._thread.start()
        self._changed.notify_all()
        if len(self._loose) >= LOOSE_POINTS:
            self._put_into_arrays()
        while self._points() >= BUFFERED_POINTS:
            if self._away is not None:
                raise self._waiting(self._away)
            self._changed.wait()
            if self._fault is not None:
                raise self._fault
        room = BUFFERED_POINTS - self._buffered - self._outgoing_points
        self._attend_at = min(SEND_POINTS if len(self._loose) < SEND_POINTS else LOOSE_POINTS, room)

    def _points(self) -> int:
        return len(self._loose) + self._buffered + self._outgoing_points

    def _put_into_arrays(self) -> None:
        buffer = self._buffer
        # What comes meanwhile, from other threads, stays for the next time.
        count = len(self._loose)
        for _ in range(count):
            name, step, time, value = self._loose.popleft()
            points = buffer.get(name)
            if points is None:
                points = buffer[name] = _Points()
            points.steps.append(step)
            points.times.append(time // 1000)
            points.values.append(value)
        self._buffered += count

    # -- the thread ----------------------------------------------------------------------------

    def _run(self, stopping: threading.Event) -> None:
        while self._wait_for_points(stopping):
            with self._sending:
                self._collect()
                self._deliver(stopping)

    def _wait_for_points(self, stopping: threading.Event) -> bool:
        """Waits until it is time to send; False when the thread shall end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waits() > 0 or stopping.is_set())
            self._changed.wait_for(lambda: self._waits() >= SEND_POINTS or stopping.is_set(), timeout=SEND_INTERVAL_S)
            return not stopping.is_set() and self._fault is None

    def _waits(self) -> int:
        return len(self._loose) + self._buffered

    def _deliver(self, stopping: threading.Event) -> None:
        patience = Patience(math.inf, stopping, self._given_up)
        while self._outgoing and not stopping.is_set():
            try:
                self._send_next(tried_again=False)
                patience.renew()
            except WeighbridgeError as error:
                self._note(error)
                try:
                    patience.pause_after(error)
                except WeighbridgeError:
                    return  # for good, or ``flush`` goes on

    def _note(self, error: WeighbridgeError | None) -> None:
        """What ``log`` and ``flush`` need to know of how sending goes."""
        with self._changed:
            self._away = error
            if error is not None and not error.retryable:
                self._fault = error
                self._attend_at = 0
            self._changed.notify_all()

    def _stop(self) -> None:
        """Ends the thread; what it did not send is still outgoing."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._attend_at = 0
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    # -- sending, by whoever holds ``_sending`` ------------------------------------------------

    def _collect(self) -> None:
        """Makes all that has come outgoing."""
        with self._changed:
            self._put_into_arrays()
            taken, self._buffer = self._buffer, {}
            self._outgoing_points += self._buffered
            self._buffered = self._attend_at = 0
        self._outgoing.extend(_batches(taken))

    def _send_next(self, *, tried_again: bool) -> None:
        batch = self._outgoing[0]
        points = sum(len(curve.values) for curve in batch.values())
        request = versions_pb2.LogMetricsRequest(
            upload_id=self._upload_id,
            writer=self._writer,
            first_sequence=self._next_sequence,
            curves=[
                records_pb2.MetricCurve(name=name, steps=curve.steps, times_us=curve.times, values=curve.values)
                for name, curve in batch.items()
            ],
        )
        log_metrics = self._connection.versions.LogMetrics
        answer = self._connection.call(log_metrics, request, tried_again=tried_again, given_up=self._given_up)
        last = self._next_sequence + points - 1
        if answer.last_sequence != last:
            raise DataLoss(
                f"{self._connection.address} was to keep points up to {last}; it answers {answer.last_sequence}"
            )
        self._next_sequence = last + 1
        self._outgoing.popleft()
        with self._changed:
            self._outgoing_points -= points
        self._note(None)

    def _waiting(self, error: WeighbridgeError) -> WeighbridgeError:
        return type(error)(
            f"{error.message}. Points of metrics that wait to be sent: {self._points()}",
            violations=error.violations,
            details=error.details,
            retry_after_s=error.retry_after_s,
        )


def _batches(taken: Batch) -> Iterator[Batch]:
    """The points in groups that one request may have."""
    batch: Batch = {}
    room = METRIC_POINTS_PER_CALL
    for name, points in taken.items():
        start = 0
        while start < len(points.values):
            stop = start + room
            part = _Points(points.steps[start:stop], points.times[start:stop], points.values[start:stop])
            batch[name] = part
            start += len(part.values)
            room -= len(part.values)
            if not room:
                yield batch
                batch, room = {}, METRIC_POINTS_PER_CALL
    if batch:
        yield batch


def _violations(name: str, value: object, step: object) -> Iterator[Violation]:
    """What is wrong with a point."""
    yield from metric_name_violations(name)
    yield from metric_number_violations(name, value, step)


def _refused(violations: list[Violation]) -> InvalidRequest:
    return InvalidRequest("the metrics cannot be taken", violations=violations)
