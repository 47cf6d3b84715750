"""An answer fits a message: two versions always, and of more it is said what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from comparison_fixtures import made_version
from weighbridge.core.comparison import FileCounts, FileDifference
from weighbridge.core.errors import LimitExceeded
from weighbridge.core.limits import MESSAGE_BYTES, RECORD_BYTES
from weighbridge.core.values import Environment, MetricSummary, Record, Version
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.comparison.comparisons import compare_versions
from weighbridge_server.domain.comparison.ports import FilesBeside
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.services.answers import within_a_message


def widest(number: int, metrics: int = 10_000) -> Version:
    """A version whose record is full of the shortest entries, and whose metrics have long names."""
    packages = {f"{chr(ord('a') + number)}{place:x}": "" for place in range(6_200)}
    record = Record(environment=Environment(packages=packages))
    assert RECORD_BYTES * 0.9 < len(record_text(record)) <= RECORD_BYTES
    summaries = [
        MetricSummary(f"{place:04}" + "m" * 252, 1.0 / number, 2**40, 2**40, 0.1, 0.9) for place in range(metrics)
    ]
    return replace(made_version(number, record), metrics=summaries)


def answer(versions: Sequence[Version], most: int) -> versions_pb2.Comparison:
    """Versions of which as many files differ as are listed, under the longest paths."""
    count = len(versions)
    files = [FileDifference(f"{place:04}" + "p" * 508, (2**40,) * count, (bytes(32),) * count) for place in range(most)]
    beside = FilesBeside(files, 20_000, [FileCounts(20_000, 20_000, 20_000)] * count, [2**60] * count)
    return convert.comparison_message(compare_versions(versions, beside, [], []))


def test_the_widest_two_fit() -> None:
    message = within_a_message(answer([widest(1), widest(2)], 1000))
    assert MESSAGE_BYTES / 4 < message.ByteSize() <= MESSAGE_BYTES
    assert (len(message.packages), len(message.metrics), message.metrics_left_out) == (12_400, 1000, 9000)
    assert (len(message.files), message.files_left_out) == (1000, 19_000)
    assert convert.comparison_value(message).files_left_out == 19_000


def test_sixteen_with_as_much_in_common_fit() -> None:
    first = widest(1)
    versions = [first, *(replace(widest(number), record=first.record) for number in range(2, 17))]
    message = within_a_message(answer(versions, 500))
    assert len(message.versions) == 16
    assert message.ByteSize() <= MESSAGE_BYTES


@pytest.mark.long
def test_what_does_not_fit_says_what_to_do() -> None:
    with pytest.raises(LimitExceeded, match=r"16 versions differ .* compare fewer at once"):
        within_a_message(answer([widest(number) for number in range(1, 17)], 500))
