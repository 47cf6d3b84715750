"""Finding the versions of a page.

Three ways, each in its turn, since none is quick for all that can be asked:

1. *Narrowed*: where an index leads to few versions that the condition can hold for, these are looked at.
2. *Walked*: otherwise many versions fulfil each part of it. Those that come first in the order are looked at, as an
   index has them; that fills most pages.
3. *Listed*: otherwise everything is joined and sorted, from indexes that have what is asked for side by side, in the
   order of the versions. This takes the longest, and the same whatever is asked. The newest first, it ends where the
   page is full, and takes the place of walking.

The planner would choose among these by how many versions it takes to have a value. It cannot know that of one name
among thousands, and a wrong guess costs a second. Here the ways are tried instead: the first two end early.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import peewee
import psycopg

from weighbridge.core.errors import LimitExceeded
from weighbridge.core.values import MetricSummary
from weighbridge_server.domain.expressions.mistakes import Mistake
from weighbridge_server.domain.expressions.typed import Arithmetic, Constant, inside
from weighbridge_server.domain.search.ports import Position, Search
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.name_prefixes import below
from weighbridge_server.storage.search.narrowing import narrowed
from weighbridge_server.storage.search.sources import Parameters
from weighbridge_server.storage.search.statements import Part, among, apart, listed, of_model, walked

_FEW = 2000
"""So many versions are looked at one by one, where it is certain that there are no others: some 10 ms."""
_WALKED = 10
"""So many times a page are looked at of those that come first, which may not be enough."""
_WALKED_PLAIN = 3
"""As ``_WALKED``, where each that is looked at is wanted, but for those that are equal at the end."""
_MOST_NARROWED = 8
"""Statements that look whether few versions are in question."""
_TIME_LIMIT_S = 10
_MATCHING_S = 2.0
"""How long the regular expressions of one transaction may take together: some of a few characters take for ever."""
_LIMIT_TIME = "SELECT set_config('statement_timeout', %s, true)"
_SETTINGS = {
    "statement_timeout": f"{_TIME_LIMIT_S}s",
    # Parameters are looked at each time: a plan for any name would be one for the rarest.
    "plan_cache_mode": "force_custom_plan",
    "work_mem": "32MB",
    # In the tables records lie between; the indexes have what is asked for side by side.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
# The indexes that joins read are sorted alike: side by side takes half as long as hashing does.
_ONE_BY_ONE = {"enable_nestloop": "on", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_ALL_AT_ONCE = {"enable_nestloop": "off", "enable_hashjoin": "off", "enable_mergejoin": "on"}


class _TooLong(Exception):
    """A regular expression took more time than there is."""


class SearchRows:
    """Implements the domain's ``SearchRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database
        self._set_already: dict[str, str] = {}
        """What this transaction was told."""
        self._matching_left_s = _MATCHING_S

    def newest(self) -> int:
        """See the port."""
        ((newest,),) = self._database.rows("SELECT coalesce(max(id), 0) FROM version")
        return int(newest)

    def page(self, search: Search, newest: int, after: Position | None, size: int) -> list[Position]:
        """See the port."""
        try:
            if not _computes(search):
                return self._page(search, newest, after, size, guarded=False)
            return self._computed_page(search, newest, after, size)
        except peewee.OperationalError as fault:
            if isinstance(_cause(fault), psycopg.errors.QueryCanceled):
                raise _too_long() from fault
            raise

    def metrics(self, ids: Sequence[int], names: Sequence[str]) -> Mapping[int, Sequence[MetricSummary]]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT version_id, name, latest, latest_step, points, min, max FROM metric_summary
            WHERE version_id = ANY(%s::bigint[]) AND name = ANY(%s::text[]) ORDER BY name
            """,
            (list(ids), list(names)),
        )
        found: dict[int, list[MetricSummary]] = {}
        for version_id, *said in rows:
            found.setdefault(version_id, []).append(MetricSummary(*said))
        return found

    def matches(self, text: str, pattern: str) -> bool | None:
        """See the port."""
        try:
            with self._matching():
                ((found,),) = self._database.rows("SELECT %s ~ %s", (text, pattern))
        except _TooLong:
            return None
        return bool(found)

    def unreadable(self, patterns: Sequence[Constant]) -> list[Mistake]:
        """See the port."""
        mistakes = []
        for pattern in patterns:
            try:
                with self._matching():
                    self._database.rows("SELECT '' ~ %s", (pattern.value,))
            except _TooLong:
                mistakes.append(Mistake(pattern.place, f"takes over {_MATCHING_S:g} s to read; write a simpler one"))
            except peewee.DatabaseError as fault:
                cause = _cause(fault)
                if not isinstance(cause, psycopg.errors.InvalidRegularExpression):
                    raise
                mistakes.append(Mistake(pattern.place, cause.diag.message_primary or "is no pattern"))
        return mistakes

    @contextmanager
    def _matching(self) -> Iterator[None]:
        """A block of one regular expression, within what is left to the transaction: it may hold a model's lock."""
        if self._matching_left_s <= 0:
            raise _TooLong
        began = time.monotonic()
        try:
            with self._database.atomic():
                self._database.rows(_LIMIT_TIME, (f"{math.ceil(self._matching_left_s * 1000)}ms",))
                yield
                self._database.rows(_LIMIT_TIME, (self._set_already.get("statement_timeout", "0"),))
        except peewee.OperationalError as fault:
            if not isinstance(_cause(fault), psycopg.errors.QueryCanceled):
                raise
            raise _TooLong from fault
        finally:
            self._matching_left_s -= time.monotonic() - began

    def _computed_page(self, search: Search, newest: int, after: Position | None, size: int) -> list[Position]:
        """What a double cannot hold is an error, and then it is asked for with care."""
        try:
            with self._database.atomic():
                return self._page(search, newest, after, size, guarded=False)
        except peewee.DataError as fault:
            if not isinstance(_cause(fault), psycopg.errors.NumericValueOutOfRange):
                raise
        self._set_already.clear()  # it was undone with what failed
        return self._page(search, newest, after, size, guarded=True)

    def _page(self, search: Search, newest: int, after: Position | None, size: int, *, guarded: bool) -> list[Position]:
        self._set({**_SETTINGS, **_ONE_BY_ONE})
        few = self._few(search, guarded=guarded)
        hidden = [] if search.model else self._hidden()
        shown = None if search.model or search.readable is None else self._shown(search.readable)
        found: list[Position] = []
        first = 0 if after is None else after.section
        for number, section in enumerate(search.sections[first:], first):
            behind = after if after is not None and after.section == number else None
            part = Part(search, section, newest, behind, size - len(found), hidden, guarded, shown)
            found += [Position(number, keys, version_id) for version_id, *keys in self._first(part, few)]
            if len(found) == size:
                break
        return found

    def _first(self, part: Part, few: Sequence[int] | None) -> list[tuple[Any, ...]]:
        parameters = Parameters()
        if few is not None:
            self._set(_ONE_BY_ONE)
            return self._rows(among(part, few, parameters), parameters)
        plain = part.search.condition is None and part.section.lacking is None
        certain = plain and not part.section.keys
        times = 1 if certain else _WALKED_PLAIN if plain else _WALKED
        # In the order of the versions, a list of what streams ends by itself where the page is full.
        streams = not part.section.keys and apart(part.search.condition)[0]
        walk = "" if streams else walked(part, times * part.size, parameters)
        if walk:
            self._set(_ONE_BY_ONE)
            found = self._rows(walk, parameters)
            if certain or len(found) == part.size:
                return found
        parameters = Parameters()
        self._set(_ALL_AT_ONCE)
        found = self._rows(listed(part, parameters), parameters)
        # Those without a value come last here, and have a section of their own.
        return [row for row in found if row[1] is not None] if part.section.keys and not part.section.lacking else found

    def _hidden(self) -> list[int]:
        """The models that are deleted."""
        rows = self._database.rows("SELECT id FROM model WHERE deleted_time IS NOT NULL")
        return [model_id for (model_id,) in rows]

    def _shown(self, readable: Collection[str]) -> list[int]:
        """The models below some prefixes."""
        rows = self._database.rows(f"SELECT id FROM model WHERE {below('name')}", (list(readable),))
        return [model_id for (model_id,) in rows]

    def _few(self, search: Search, *, guarded: bool) -> Sequence[int] | None:
        """All versions that can be in question, where they are few."""
        if search.condition is None and len(search.sections) == 1:
            return None  # the newest first: they are walked
        parameters = Parameters()
        statements = []
        if search.model:
            statements.append(
                f"(SELECT v.id FROM version v WHERE {of_model(search.model, parameters)} LIMIT {_FEW + 1})"
            )
        if search.manifest is not None:
            statements.append(f"(SELECT v.id FROM version v WHERE v.manifest = {parameters.add(search.manifest)})")
        if search.condition is not None:
            statements += narrowed(search.condition, _FEW + 1, parameters, guarded=guarded)
        for statement in statements[:_MOST_NARROWED]:
            ids = self._rows(f"SELECT * FROM {statement} AS narrowed LIMIT {_FEW + 1}", parameters)
            if len(ids) <= _FEW:
                return [version_id for (version_id,) in ids]
        return None

    def _rows(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        return self._database.rows(sql, parameters.values)

    def _set(self, settings: Mapping[str, str]) -> None:
        """For this transaction."""
        new = {name: value for name, value in settings.items() if self._set_already.get(name) != value}
        if new:
            calls = ", ".join("set_config(%s, %s, true)" for _ in new)
            self._database.rows(f"SELECT {calls}", [text for setting in new.items() for text in setting])
            self._set_already |= new


def _computes(search: Search) -> bool:
    """Whether a result may be one that a double cannot hold."""
    asked = [search.condition, *(key.expression for section in search.sections for key in section.keys)]
    return any(isinstance(node, Arithmetic) for root in asked if root is not None for node in inside(root))


def _cause(fault: peewee.DatabaseError) -> Exception | None:
    """The driver's own error."""
    return getattr(fault, "orig", None)


def _too_long() -> LimitExceeded:
    return LimitExceeded(
        f"the database did not find these versions within {_TIME_LIMIT_S} s; name a model, compare less, "
        "or begin with what few versions have",
        details={"limit": str(_TIME_LIMIT_S)},
    )
