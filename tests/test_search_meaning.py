"""Filters and orders mean what CEL means: random ones over random versions, beside the same said in Python.

Each is asked in every way that the server has (see ``storage/search/rows.py``): where few versions are looked at one
by one, and where as few as two are many.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cmp_to_key

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_reference import Expression, Known, conditions, keys, sort_key
from search_universe import universe
from storage_fixtures import Storage
from weighbridge_server.domain.expressions.check import check_condition
from weighbridge_server.domain.expressions.evaluate import Evaluation
from weighbridge_server.domain.expressions.parse import parse_condition
from weighbridge_server.domain.policy.subject import subject
from weighbridge_server.domain.search.version_names import VERSION
from weighbridge_server.storage.search import rows

SETTINGS = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class World:
    """Versions, and what is known of them."""

    def __init__(self, storage: Storage, known: list[Known]) -> None:
        self.storage = storage
        self.known = known

    def find(self, condition: str = "", order_by: str = "", *, size: int = 1000, model: str = "") -> list[str]:
        """The references that the server finds, over all pages."""
        found: list[str] = []
        token = ""
        while True:
            versions, token = self.storage.versions.list(model, "", size, token, condition=condition, order_by=order_by)
            found += [version.ref for version in versions]
            if not token:
                return found

    def fulfilling(self, condition: Expression) -> list[Known]:
        """Those that the condition is true of, the newest first."""
        return [one for one in reversed(self.known) if condition.of(one, {}) is True]


@pytest.fixture(scope="module", params=[False, True], ids=["few", "many"])
def world(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            for limit, so_few in (("_FEW", 2), ("_WALKED", 1), ("_WALKED_PLAIN", 1)):
                patch.setattr(rows, limit, so_few)
        with universe(postgres_url, tmp_path_factory.mktemp("search") / "packs") as (storage, known):
            yield World(storage, known)


@pytest.mark.long
@SETTINGS
@given(condition=conditions)
def test_a_filter_takes_what_its_condition_is_true_of(world: World, condition: Expression) -> None:
    assert world.find(condition.text) == [one.version.ref for one in world.fulfilling(condition)]


@pytest.mark.long
@SETTINGS
@given(condition=conditions)
def test_a_rule_is_true_of_what_a_filter_takes(world: World, condition: Expression) -> None:
    typed = check_condition(parse_condition(condition.text), VERSION)
    documents = [(one, subject(one.version, None)) for one in reversed(world.known)]
    true = [one for one, document in documents if Evaluation(document, lambda *_: False).value(typed) is True]
    assert true == world.fulfilling(condition)


def in_order(known: list[Known], order: list[tuple[Expression, bool]]) -> list[Known]:
    """Sorted by keys, each of which may descend; what is equal the newest first, what is missing last."""

    def compare(one: Known, other: Known) -> int:
        for key, descending in order:
            left, right = (sort_key(key.of(known, {})) for known in (one, other))
            if left[0] != right[0]:
                return left[0] - right[0]
            if left != right:
                return (1 if left > right else -1) * (-1 if descending else 1)
        return known.index(other) - known.index(one)

    return sorted(known, key=cmp_to_key(compare))


@pytest.mark.long
@SETTINGS
@given(
    order=st.lists(st.tuples(keys, st.booleans()), min_size=1, max_size=3),
    condition=st.none() | conditions,
    size=st.integers(4, 40),
)
def test_pages_of_an_order_hold_everything_once_in_that_order(
    world: World, order: list[tuple[Expression, bool]], condition: Expression | None, size: int
) -> None:
    wanted = world.known if condition is None else list(reversed(world.fulfilling(condition)))
    order_by = ", ".join(f"{key.text} {'desc' if descending else 'asc'}" for key, descending in order)
    found = world.find("" if condition is None else condition.text, order_by, size=size)
    assert found == [one.version.ref for one in in_order(wanted, order)]
