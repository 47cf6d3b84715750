"""Points of metrics on their way to an upload: kept here for a moment, and sent while training goes on.

What ``log`` costs is what training pays, and between two steps of a training the processor's caches hold none of this
code: so it touches little, and does nothing but append. A thread takes what has come every two seconds, and sends it
until it is answered; while the server is away, points wait here. Every request carries the number of its first point:
one that the server has already adds nothing. What the server refuses is dropped, which is told once: it would be
refused again, and nothing behind it could be sent.
"""

from __future__ import annotations

import math
import threading
import uuid
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import time_ns
from typing import SupportsFloat

from weighbridge.core.errors import DataLoss, InvalidRequest, LimitExceeded, UsageError, Violation, WeighbridgeError
from weighbridge.core.limits import (
    METRIC_POINTS_PER_CALL,
    METRIC_POINTS_PER_VERSION,
    METRICS_PER_VERSION,
    check_metric_limit,
)
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

_NAMED = 5
"""Most metrics that a message names of those whose points were dropped."""


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
        """Those that are known to be right, which are all that the upload has: nobody else logs to it."""
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
        self._taken = 0
        """How many points came that are not loose any more, but for those that were dropped."""
        self._next_sequence = 1
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()  # of the thread; each has its own
        self._away: WeighbridgeError | None = None
        """Why what waits is not sent now; it is tried again."""
        self._refusal: WeighbridgeError | None = None
        """Why the server refused points, which nobody was told yet."""
        self._dropped: dict[str, int] = {}
        """How many of which metrics."""
        self._ended: WeighbridgeError | None = None
        """Why nothing more will be sent."""

    def log(self, name: str, value: SupportsFloat, step: int) -> None:
        """Adds a point, as of now.

        Raises:
            InvalidRequest: the name or a number cannot be taken.
            LimitExceeded: it would be more than a version has.
            WeighbridgeError: why points before it could not be sent: the server refused them, or has been away so long
                that there is no room for more. This one is not added.
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
        if not isinstance(values, Mapping):
            raise UsageError(f"metrics are a mapping of names to values, such as {{'loss': 0.31}}, not {values!r:.80}")
        wrong = [violation for name, value in values.items() for violation in _violations(name, value, step)]
        if wrong:
            raise _refused(wrong)
        self._check_names(name for name in values if name not in self._names)
        for name, value in values.items():
            self.log(name, value, step)

    def flush(self) -> None:
        """Waits until every point is on the server.

        Raises:
            WeighbridgeError: why they cannot be sent; they stay here, for another try. Or, when all others are on the
                server, why it refused some, which are dropped.
        """
        self.pause()
        with self._sending:
            if self._ended is not None:
                raise self._ended
            self._collect()
            while self._outgoing:
                try:
                    self._send_next(tried_again=True)
                except WeighbridgeError as error:
                    raise self._waiting(error) from error
            with self._changed:
                self._tell_refusal()

    def pause(self) -> None:
        """Ends the thread, until more is logged; what it did not send is still outgoing."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._attend_at = 0
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def end(self, why: WeighbridgeError) -> None:
        """Sends no more; ``why`` is raised by who logs more."""
        with self._changed:
            self._ended = why
        self.pause()

    def leave_to_parent(self, why: WeighbridgeError) -> None:
        """In a process that was forked: as ``end``. What was logged before is the other process's to send.

        Both would send under one writer's numbers, and the server would take the points of the one for those of the
        other. No thread is here, and no lock is taken: one may have been held.
        """
        self._changed, self._sending = threading.Condition(), threading.Lock()
        self._thread = None
        self._ended = why
        self._attend_at = 0

    # -- what ``log`` does seldom --------------------------------------------------------------

    def _log_carefully(self, name: str, value: SupportsFloat, step: int) -> None:
        wrong = list(_violations(name, value, step))
        if wrong:
            raise _refused(wrong)
        with self._changed:
            if len(self._loose) >= self._attend_at:
                self._attend()
            if name not in self._names:
                self._check_names([name])
                self._names.add(name)
            self._loose.append((name, whole_step(step), time_ns(), float(value)))

    def _attend(self) -> None:
        """Has the points sent, and waits, or fails, where there is no room for more."""
        self._check_going()
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
            self._check_going()
        check_metric_limit("points of metrics", self._taken + len(self._loose) + 1, METRIC_POINTS_PER_VERSION)
        room = min(BUFFERED_POINTS - self._buffered - self._outgoing_points, METRIC_POINTS_PER_VERSION - self._taken)
        self._attend_at = min(SEND_POINTS if len(self._loose) < SEND_POINTS else LOOSE_POINTS, room)

    def _check_going(self) -> None:
        """Raises what ends the sending, or ended the sending of some."""
        if self._ended is not None:
            raise self._ended
        if self._away is not None and not self._away.retryable:
            raise self._away
        self._tell_refusal()

    def _tell_refusal(self) -> None:
        refusal, dropped = self._refusal, self._dropped
        if refusal is None:
            return
        self._refusal, self._dropped = None, {}
        named = [f"{points} of {name!r}" for name, points in list(dropped.items())[:_NAMED]]
        if rest := list(dropped.values())[_NAMED:]:
            named.append(f"{sum(rest)} of {len(rest)} other metrics")
        raise type(refusal)(
            f"{refusal.message}. These points were dropped, and no others: {', '.join(named)}",
            violations=refusal.violations,
            details=refusal.details,
        )

    def _check_names(self, new: Iterable[str]) -> None:
        count = len(self._names)
        for place, name in enumerate(new, start=1):
            check_metric_limit("metrics", count + place, METRICS_PER_VERSION, f"metrics.{name}")

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
        self._taken += count

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
            going = self._ended is None and (self._away is None or self._away.retryable)
            return going and not stopping.is_set()

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
        """What ``log`` needs to know of how sending goes."""
        with self._changed:
            self._away = error
            if error is not None and not error.retryable:
                self._attend_at = 0
            self._changed.notify_all()

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
        points = _count(batch)
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
        try:
            answer = self._connection.call(log_metrics, request, tried_again=tried_again, given_up=self._given_up)
        except (InvalidRequest, LimitExceeded) as refusal:
            if any(violation.path == "first_sequence" for violation in refusal.violations):
                raise  # the server lost points before these, which are not what is wrong
            self._outgoing.popleft()
            if len(batch) > 1:  # only what is refused by itself is dropped
                self._outgoing.extendleft(reversed(_halves(batch)))
            else:
                self._drop(batch, refusal)
            return
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

    def _drop(self, batch: Batch, refusal: WeighbridgeError) -> None:
        with self._changed:
            for name, curve in batch.items():
                self._dropped[name] = self._dropped.get(name, 0) + len(curve.values)
            self._refusal = self._refusal or refusal
            self._away = None
            self._outgoing_points -= _count(batch)
            self._taken -= _count(batch)
            self._attend_at = 0
            self._changed.notify_all()

    def _waiting(self, error: WeighbridgeError) -> WeighbridgeError:
        return type(error)(
            f"{error.message}. Points of metrics that wait to be sent: {self._points()}",
            violations=error.violations,
            details=error.details,
            retry_after_s=error.retry_after_s,
        )


def _batches(taken: Batch) -> Iterator[Batch]:
    """The points in groups that one request may have; it may have as many metrics as a version."""
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


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    """A request's points as those of two requests, of half of its metrics each."""
    curves = list(batch.items())
    return dict(curves[: len(curves) // 2]), dict(curves[len(curves) // 2 :])


def _count(batch: Batch) -> int:
    return sum(len(curve.values) for curve in batch.values())


def _violations(name: str, value: object, step: object) -> Iterator[Violation]:
    """What is wrong with a point."""
    yield from metric_name_violations(name)
    yield from metric_number_violations(name, value, step)


def _refused(violations: list[Violation]) -> InvalidRequest:
    return InvalidRequest("the metrics cannot be taken", violations=violations)
