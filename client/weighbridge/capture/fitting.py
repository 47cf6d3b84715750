"""Captured parts, made to fit into a record beside what its author gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.capture.packages import imported_packages
from weighbridge.core.errors import InvalidRequest
from weighbridge.core.limits import RECORD_BYTES
from weighbridge.core.record_check import check_record
from weighbridge.core.record_form import most_record_bytes
from weighbridge.core.values import Environment, Record, SourceCode


def fitted(record: Record, source: SourceCode | None, environment: Environment | None) -> Record:
    """The record with as much of both parts as it has room for; at the worst as it was.

    Packages go first: down to those that this process imported, then all, with their number noted. Then the
    environment goes, then the command line, then the source.
    """
    for fuller in _candidates(record, source, environment):
        if most_record_bytes(fuller) > RECORD_BYTES:
            continue
        try:
            check_record(fuller)
        except InvalidRequest:  # a fault of the capture, which must not become one of the training
            continue
        return fuller
    return record


def _candidates(record: Record, source: SourceCode | None, environment: Environment | None) -> Iterator[Record]:
    if environment is not None:
        yield replace(record, source=source, environment=environment)
        installed = len(environment.packages)
        for packages in (_imported(environment), {}):
            less = replace(environment, packages=packages, packages_left_out=installed - len(packages))
            yield replace(record, source=source, environment=less)
    yield replace(record, source=source)
    if source is not None and source.command:
        yield replace(record, source=replace(source, command=()))


def _imported(environment: Environment) -> dict[str, str]:
    try:
        return imported_packages(environment.packages)
    except Exception:  # noqa: BLE001 - it reads what every installed package says of itself
        return {}
