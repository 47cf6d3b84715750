"""What may be why a metric got worse: which of what goes into a model changed.

The kinds are told in an order of likelihood, which is a judgement, not a measurement. How good a model is comes from
what it learned (data), then from how it was told to learn (parameters), then from the code, from the weights that it
began with, and least from packages and machines, which are made not to change results. What a model costs comes first
from what it runs on and in, then from code, parameters and parents, and least from its data.
"""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.core.comparison import MetricDifference, SuspectKind, Suspects
from weighbridge.core.direction import tells_cost, words
from weighbridge.core.values import Record
from weighbridge_server.domain.comparison.code_changes import code_changes, code_may_differ, code_recorded
from weighbridge_server.domain.comparison.data_changes import data_changes, data_recorded
from weighbridge_server.domain.comparison.environment_changes import environment_changes, environment_recorded
from weighbridge_server.domain.comparison.fields import Fields, field_differences
from weighbridge_server.domain.comparison.record_fields import parent_fields
from weighbridge_server.domain.comparison.wording import at_most, change, changes

_QUALITY = (
    SuspectKind.DATA,
    SuspectKind.PARAMETERS,
    SuspectKind.CODE,
    SuspectKind.PARENTS,
    SuspectKind.ENVIRONMENT,
)
_COST = (
    SuspectKind.ENVIRONMENT,
    SuspectKind.CODE,
    SuspectKind.PARAMETERS,
    SuspectKind.PARENTS,
    SuspectKind.DATA,
)
_MOST_CHANGES = 10
_ASIDE = frozenset("seed output out log logs logging save run job experiment tmp cache debug verbose name id".split())
"""Words of parameters that are told last: chance, and where what is made goes."""


def suspects(refs: Sequence[str], records: Sequence[Record], metrics: Sequence[MetricDifference]) -> list[Suspects]:
    """For each version but the first, of its metrics that are worse: what changed since the first version."""
    found = []
    for place in range(1, len(records)):
        for cost, order in ((False, _QUALITY), (True, _COST)):
            worse = [one.name for one in metrics if one.better[place] is False and tells_cost(one.name) is cost]
            if worse:
                changed = _changes(refs[0], records[0], records[place], cost=cost)
                found.append(
                    Suspects(
                        version_index=place,
                        metrics=tuple(worse),
                        changes={kind: tuple(at_most(changed[kind], _MOST_CHANGES)) for kind in order if changed[kind]},
                        not_recorded=tuple(
                            kind
                            for kind in order
                            if not _recorded(kind, records[0], records[place], changed=bool(changed[kind]))
                        ),
                    )
                )
    return found


def _changes(first: str, before: Record, after: Record, *, cost: bool) -> dict[SuspectKind, list[str]]:
    return {
        SuspectKind.DATA: data_changes(before, after),
        SuspectKind.PARAMETERS: _parameter_changes(before, after),
        SuspectKind.CODE: code_changes(before, after),
        SuspectKind.PARENTS: _parent_changes(first, before, after),
        SuspectKind.ENVIRONMENT: environment_changes(before, after, cost=cost),
    }


def _parameter_changes(before: Record, after: Record) -> list[str]:
    differences = field_differences([before.params, after.params])
    return changes(sorted(differences, key=lambda one: not _ASIDE.isdisjoint(words(one.name))))


def _parent_changes(first: str, before: Record, after: Record) -> list[str]:
    old, new = parent_fields(before), parent_fields(after)
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        return [change("parent", next(iter(old)), next(iter(new))) + _itself(first, new)]
    found = [f"parent {ref} removed" for ref in old if ref not in new]
    found += [f"parent {ref} added, {relation}" for ref, relation in new.items() if ref not in old]
    if found and first not in old:
        found[-1] += _itself(first, new)
    return found + [change(f"parent {ref}:", old[ref], new[ref]) for ref in old if ref in new and old[ref] != new[ref]]


def _itself(first: str, parents: Fields) -> str:
    """A version that was made from the one it is compared with began where that ended."""
    return f" ({first} is what it is compared with)" if first in parents else ""


def _recorded(kind: SuspectKind, before: Record, after: Record, *, changed: bool) -> bool:
    """Whether it is known if this changed. A version without parents has none."""
    if kind is SuspectKind.DATA:
        return data_recorded(before) or data_recorded(after)
    if kind is SuspectKind.PARAMETERS:
        return bool(before.params or after.params)
    if kind is SuspectKind.CODE:
        return code_recorded(before) and code_recorded(after) and (changed or not code_may_differ(before, after))
    if kind is SuspectKind.ENVIRONMENT:
        return environment_recorded(before) and environment_recorded(after)
    return True
