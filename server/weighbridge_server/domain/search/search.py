"""Finding versions by what they record: filters, orders, and pages that stay where they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from weighbridge.core.digest import parse_digest
from weighbridge.core.values import Version
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.canonical import json_digest
from weighbridge_server.domain.expressions.check import check_condition, check_order
from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place, invalid_expression
from weighbridge_server.domain.expressions.parse import parse_condition, parse_order
from weighbridge_server.domain.expressions.typed import Field, OrderKey, Typed, inside, patterns
from weighbridge_server.domain.pages import DEFAULT_SIZE, not_ours, page_key, page_token
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.search.orders import fits, sections_of
from weighbridge_server.domain.search.ports import KeyValue, Position, Search
from weighbridge_server.domain.search.version_names import VERSION

_MOST_KEYS = 4
"""A page token holds a value of each: the first 100 characters of a text."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
T = TypeVar("T", bound="Typed | Sequence[OrderKey] | None")


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for."""

    model: str = ""
    manifest: str = ""
    condition: str = ""
    order_by: str = ""
    deleted: bool = False
    """Deleted ones too."""
    metrics: Sequence[str] = ()
    """The metrics that each version shows, beside those of ``order_by``."""
    readable: Readable = None
    """Of all models: those that the caller reads."""

    def digest(self) -> str:
        """The same for all pages of one list."""
        asked = [self.model, self.manifest, self.condition.strip(), self.order_by.strip(), self.deleted]
        return json_digest({"list": asked}).hex()[:32]


def find_page(tx: Transaction, wanted: Wanted, page_size: int, token: str) -> tuple[list[Version], str]:
    """One page of versions, and the token of the next (empty: none).

    The first page fixes which version is the newest that the list knows: what is committed later is not in it.

    Raises:
        InvalidExpression, InvalidReference, InvalidRequest, LimitExceeded.
    """
    size = page_size or DEFAULT_SIZE
    condition, order = _understood(tx, wanted)
    manifest = parse_digest(wanted.manifest) if wanted.manifest else None
    search = Search(wanted.model, manifest, wanted.deleted, condition, sections_of(order), wanted.readable)
    newest, after = _continued(wanted, search, token) if token else (tx.search.newest(), None)
    found = tx.search.page(search, newest, after, size + 1)
    versions = _read(tx, [position.id for position in found[:size]], [*wanted.metrics, *_metrics_of(order)])
    return versions, _token(wanted, newest, found[size - 1]) if len(found) > size else ""


def _understood(tx: Transaction, wanted: Wanted) -> tuple[Typed | None, Sequence[OrderKey]]:
    """Filter and order, checked; what is wrong with both is said together."""
    mistakes: dict[str, Sequence[Mistake]] = {}

    def checked(field: str, check: Callable[[], T], otherwise: T) -> T:
        try:
            typed = check()
        except Mistaken as mistaken:
            mistakes[field] = mistaken.mistakes
            return otherwise
        mistakes[field] = tx.search.unreadable(list(patterns(_all_of(typed))))
        return typed

    condition: Typed | None = None
    order: Sequence[OrderKey] = ()
    if wanted.condition.strip():
        condition = checked("filter", lambda: check_condition(parse_condition(wanted.condition), VERSION), None)
    if wanted.order_by.strip():
        order = checked("order_by", lambda: _order(wanted.order_by), ())
    if any(mistakes.values()):
        raise invalid_expression(mistakes)
    return condition, order


def _order(text: str) -> Sequence[OrderKey]:
    keys = parse_order(text)
    if len(keys) > _MOST_KEYS:
        raise Mistaken(Mistake(Place(1, 1), f"it has {len(keys)} keys; at most {_MOST_KEYS} are sorted by"))
    return check_order(keys, VERSION)


def _read(tx: Transaction, ids: Sequence[int], metrics: Sequence[str]) -> list[Version]:
    known = tx.versions.at(ids)
    if not metrics:
        return [known[key] for key in ids]
    shown = tx.search.metrics(ids, metrics)
    return [replace(known[key], metrics=tuple(shown.get(key, ()))) for key in ids]


def _metrics_of(order: Sequence[OrderKey]) -> Iterator[str]:
    for node in _all_of(order):
        if isinstance(node, Field) and not node.row and node.path[0] == "metrics":
            yield node.path[1]


def _all_of(typed: Typed | Sequence[OrderKey] | None) -> Iterator[Typed]:
    if typed is None:
        return
    roots = [key.expression for key in typed] if isinstance(typed, Sequence) else [typed]
    for root in roots:
        yield from inside(root)


# -- tokens --------------------------------------------------------------------------------------


def _token(wanted: Wanted, newest: int, position: Position) -> str:
    keys = [_plain(value) for value in position.keys]
    stands = [wanted.digest(), newest, position.section, keys, position.id]
    return page_token(json.dumps(stands, ensure_ascii=False, separators=(",", ":")))


def _continued(wanted: Wanted, search: Search, token: str) -> tuple[int, Position]:
    try:
        digest, newest, section, keys, version_id = json.loads(page_key(token))
        position = Position(int(section), [_value(key) for key in keys], int(version_id))
        newest = int(newest)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as fault:
        raise not_ours() from fault
    inside_64_bits = all(0 <= number < 2**63 for number in (newest, position.id))
    if digest != wanted.digest() or not inside_64_bits or not fits(position, search.sections):
        raise not_ours()
    return newest, position


def _plain(value: KeyValue) -> object:
    """A key's value as JSON; a time as microseconds, apart from numbers."""
    return {"time": (value - _EPOCH) // _MICROSECOND} if isinstance(value, datetime) else value


def _value(plain: Any) -> KeyValue:
    if isinstance(plain, dict):
        return _EPOCH + int(plain["time"]) * _MICROSECOND
    if isinstance(plain, str):
        plain.encode()  # half a surrogate pair is no text
    if plain is None or isinstance(plain, float | str | bool):
        return plain
    raise TypeError("no key has such a value")
