"""The words of a comparison, the same on a terminal and on a page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from weighbridge.core.comparison import Comparison, FieldDifference, MetricDifference, Suspects
from weighbridge.core.values import Scalar, Version

ABSENT = "-"
_HEX = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{8,}\b")
_MOST_NAMED = 6


def labels(versions: Sequence[Version]) -> list[str]:
    """Short names: ``:1``, ``:2`` where all are of one model and no two are the same; otherwise letters."""
    refs = {version.ref for version in versions}
    if len(refs) == len(versions) and len({version.model for version in versions}) == 1:
        return [f":{version.version}" for version in versions]
    return [chr(ord("A") + place) for place in range(len(versions))]


def title(versions: Sequence[Version], short: Sequence[str]) -> str:
    """``fraud.tabular.transformer: :2 beside :1``."""
    others = f"{len(versions) - 1} versions" if len(versions) > 2 else short[1]
    models = list(dict.fromkeys(version.model for version in versions))
    name = models[0] if len(models) == 1 else f"{len(models)} models"
    return f"{name}: {others} beside {short[0]}"


def value_texts(values: Sequence[Scalar | None]) -> list[str]:
    """Values beside each other, ``-`` for one that is not there.

    Text is in quotes where it could be taken for something else: for nothing, or for a number beside numbers.
    """
    typed = any(not isinstance(value, str) for value in values if value is not None)
    return [_value_text(value, quoted=typed) for value in values]


def _value_text(value: Scalar | None, *, quoted: bool) -> str:
    if value is None:
        return ABSENT
    if not isinstance(value, str) or quoted or value.strip() in ("", ABSENT):
        return json.dumps(value, ensure_ascii=False)
    return value


def short_digests(text: str) -> str:
    """The text with the ends of commits and digests left out."""
    return _HEX.sub(r"\1…", text)


def number(value: float) -> str:
    """A metric's value."""
    return f"{value:.6g}"


def difference(metric: MetricDifference, place: int) -> str:
    """``+0.02``; ``-`` where there is none to tell."""
    told = metric.differences[place]
    return ABSENT if told is None else "0" if told == 0 else f"{told:+.4g}"


def verdict(metric: MetricDifference, place: int) -> str:
    """What became of a metric: ``better``, ``worse``, ``same``, ``added``, ``removed``; empty where it never was."""
    better, first, value = metric.better[place], metric.values[0], metric.values[place]
    if better is not None:
        return "better" if better else "worse"
    if first is None or value is None:
        return "" if first is value else "removed" if value is None else "added"
    return "same"


def change(first: object | None, value: object | None) -> str:
    """What became of a value that differs: ``added``, ``removed``, ``changed``."""
    if value is None or first is None:
        return "" if first is value else "removed" if value is None else "added"
    return "" if value == first else "changed"


def change_counts(fields: Sequence[FieldDifference], place: int) -> str:
    """``1 added, 2 changed``: of one version."""
    changes = [change(field.values[0], field.values[place]) for field in fields]
    return counts_text(*(changes.count(kind) for kind in ("added", "removed", "changed")))


def counts_text(added: int, removed: int, changed: int) -> str:
    """``1 added, 2 changed``; ``none`` where nothing is to be told."""
    counts = {"added": added, "removed": removed, "changed": changed}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "none"


def percent(part: int, whole: int) -> str:
    """``99.9 %``: 0 and 100 are exactly that."""
    if not whole:
        return ABSENT
    share = 100 * part / whole
    rounded = share if part in (0, whole) else min(99.9, max(0.1, share))
    return f"{rounded:.0f} %" if part in (0, whole) else f"{rounded:.1f} %"


def named(names: Sequence[str]) -> str:
    """``auc, f1 and 3 more``."""
    shown = list(names) if len(names) <= _MOST_NAMED + 1 else [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def suspicion(comparison: Comparison, suspects: Suspects, short: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """Of one version: what is worse, and under the kinds of what changed, in lines, what did."""
    place = suspects.version_index
    facts = [(str(kind), "\n".join(map(_one_line, changes))) for kind, changes in suspects.changes.items()]
    if comparison.versions[place].manifest == comparison.versions[0].manifest:
        facts.insert(0, ("same bytes", "both hold the same files: what differs is how they were measured"))
    if not suspects.changes:
        facts.append(
            ("nothing", "that was recorded changed: chance (another seed, order or node), or what is not recorded")
        )
    if suspects.not_recorded:
        facts.append(("not recorded", f"{', '.join(map(str, suspects.not_recorded))}: cannot be ruled out"))
    return f"why {named(suspects.metrics)} may be worse in {short[place]}", facts


def _one_line(text: str) -> str:
    return " ".join(text.split())


def anything_differs(comparison: Comparison) -> bool:
    """Whether the versions differ in anything but who made them, and when."""
    lists = (
        comparison.params,
        comparison.tags,
        comparison.datasets,
        comparison.parents,
        comparison.source,
        comparison.environment,
        comparison.packages,
        comparison.energy,
        comparison.signature,
        (comparison.description,),
    )
    if comparison.files or any(field.differs for fields in lists for field in fields):
        return True
    return any(not _all_same(metric) for metric in comparison.metrics)


def _all_same(metric: MetricDifference) -> bool:
    return all(_same(metric, place) for place in range(len(metric.values)))


def _same(metric: MetricDifference, place: int) -> bool:
    first, value = metric.values[0], metric.values[place]
    if first is None or value is None:
        return first is value
    return first.latest == value.latest or (math.isnan(first.latest) and math.isnan(value.latest))
