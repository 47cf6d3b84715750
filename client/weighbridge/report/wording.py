"""The words of a comparison, the same on a terminal and on a page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from weighbridge.core.comparison import Comparison, FieldDifference, MetricDifference, SuspectKind, Suspects
from weighbridge.core.values import Scalar, Version

ABSENT = "-"
_DIGEST = re.compile(r"((?:[a-z][a-z0-9-]*:)?[0-9a-f]{12})[0-9a-f]{8,}")
"""A commit or a digest."""
_DIGEST_FIELDS = frozenset({"commit", "diff_digest", "untracked_digest", "lock_digest"})
_MARKED = re.compile(
    r"(?<!\S)((?:b3|blake2b|blake3|md5|sha1|sha256|sha384|sha512|etag):[0-9a-f]{12})[0-9a-f]{8,}(?!\S)"
)
"""Within other text a digest is what says so itself: a long number is one to nobody."""
_MOST_NAMED = 6
_OURS = ("weighbridge", "weighbridge.cli.main")
"""The entry points of the command line."""


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


def short_digest(digest: str) -> str:
    """A commit or a digest with its end left out; what is none, whole."""
    found = _DIGEST.fullmatch(digest)
    return digest if found is None else f"{found[1]}…"


def short_texts(kind: str, field: FieldDifference) -> list[str]:
    """As ``value_texts``, with the ends of digests left out where what differs can be told apart without them.

    ``kind``: ``code``, ``environment`` and ``dataset`` have digests; anything else is its pusher's own, and whole.
    """
    texts = value_texts(field.values)
    if kind in ("code", "environment") and field.name in _DIGEST_FIELDS:
        short = list(map(short_digest, texts))
    elif kind == "dataset":
        short = [_MARKED.sub(r"\1…", text) for text in texts]
    else:
        return texts
    return short if len(set(short)) == len(set(texts)) else texts


def numbers(values: Sequence[float | None]) -> list[str]:
    """A metric's values beside each other, with as many digits as it takes to tell apart what is not the same.

    ``-`` for one that is not there.
    """
    held = [value for value in values if value is not None]
    apart = len(set(filter(math.isfinite, held))) + len({str(value) for value in held if not math.isfinite(value)})
    ways = ([_digits(value, digits) for value in held] for digits in range(6, 18))
    told = iter(next(texts for texts in ways if len(set(texts)) == apart))
    return [ABSENT if value is None else next(told) for value in values]


def number(value: float) -> str:
    """A metric's value by itself."""
    return _digits(value, 6)


def _digits(value: float, digits: int) -> str:
    """So many digits that count, and all before the point: a count has no exponent. With 17 no two are the same."""
    if value == 0:
        return "0"
    if digits == 17:
        return repr(value)
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    whole = math.floor(math.log10(abs(value))) + 1
    text = f"{value:.{max(0, digits - whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def difference(metric: MetricDifference, place: int) -> str:
    """``+0.02``; ``-`` where there is none to tell."""
    told = metric.differences[place]
    if told is None or told == 0:
        return ABSENT if told is None else "0"
    return f"{'+' if told > 0 else ''}{_digits(told, 4)}"


def better_text(metric: MetricDifference) -> str:
    """Which way is better: ``lower``, ``higher``, or ``-``."""
    return ABSENT if metric.lower_is_better is None else "lower" if metric.lower_is_better else "higher"


def metric_texts(metric: MetricDifference) -> list[str]:
    """Its newest values, in the order of the versions."""
    return numbers([None if value is None else value.latest for value in metric.values])


def verdict(metric: MetricDifference, place: int) -> str:
    """What became of a metric: ``better``, ``worse``, ``same``, ``added``, ``removed``.

    Empty where it never was, and where it is another and neither way is better.
    """
    better, first, value = metric.better[place], metric.values[0], metric.values[place]
    if better is not None:
        return "better" if better else "worse"
    if first is None or value is None:
        return "" if first is value else "removed" if value is None else "added"
    return "same" if _same(metric, place) else ""


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
        kinds = [_unknown(kind, comparison, place) for kind in suspects.not_recorded]
        facts.append(("not recorded", f"{', '.join(kinds)}: cannot be ruled out"))
    return f"why {named(suspects.metrics)} may be worse in {short[place]}", facts


def _unknown(kind: SuspectKind, comparison: Comparison, place: int) -> str:
    """A kind of what was not recorded; of code that was, that it is in files whose contents were not."""
    untracked = next((field.values for field in comparison.source if field.name == "untracked_digest"), None)
    if kind is SuspectKind.CODE and untracked is not None and untracked[0] and untracked[place]:
        return f"{kind} (in files that git does not track)"
    return str(kind)


def made_elsewhere(comparison: Comparison) -> bool:
    """Whether all versions were pushed from the command line, which made no weights: what was typed says nothing."""
    entry_points = [
        str(value) for field in comparison.source if field.name == "entry_point" for value in field.values if value
    ]
    return bool(entry_points) and all(PurePosixPath(entry).name in _OURS for entry in entry_points)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


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
