"""The throughput section's tables, lines and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.contest import OURS, VERBS, Contest, Verb
from benchmarks.ours import Step
from benchmarks.report import Bar, Bound, Line, Section, Table, at_least

_CP = "cp + fsync"
_VS_PEER: Mapping[Verb, Bound] = {"push": at_least(4), "pull": at_least(2)}
_VS_CP = at_least(1 / 3)


def report(section: Section, contests: Sequence[Contest]) -> None:
    """Adds everything to the section. The bounds are for the first tmpfs: on a disk, the disk decides."""
    bounded = next((contest for contest in contests if contest.place.is_tmpfs), None)
    for contest in sorted(contests, key=lambda contest: contest is not bounded):
        section.tables += [_beside_the_others(contest), _our_ways(contest)]
        section.lines += _lines(contest, bounded is contest)
        alike = [other.place for other in contests if other.place.name == contest.place.name]
        label = contest.place.name if len(alike) == 1 else f"{contest.place.name} {contest.place.folder.parent}"
        section.bars += [
            Bar(label, verb, name, contest.median_s(name, verb)) for name in contest.contenders() for verb in VERBS
        ]
        section.notes += [f"{name} failed on {contest.place.name}: {why}" for name, why in contest.failed.items()]
    if bounded is None:
        section.notes.append("No folder is on a tmpfs, which the bounds are for: none was looked at.")


def _beside_the_others(contest: Contest) -> Table:
    size_mb = contest.model.stat().st_size / 1e6
    rows: list[Sequence[str | float | None]] = []
    for name in sorted(contest.contenders(), key=lambda name: name != OURS):
        push_s, pull_s = (contest.median_s(name, verb) for verb in VERBS)
        ours = (contest.median_s(OURS, verb) for verb in VERBS)
        ratios = (
            [None, None] if name == OURS else [theirs / our for theirs, our in zip((push_s, pull_s), ours, strict=True)]
        )
        rows.append([name, push_s, pull_s, size_mb / push_s, size_mb / pull_s, *ratios])
    rows += [[name, None, None, None, None, None, None] for name in contest.failed]
    title = f"{size_mb:.0f} MB in and out on {contest.place.name}"
    return Table(title, ("", "push s", "pull s", "push MB/s", "pull MB/s", "push / ours", "pull / ours"), rows)


def _our_ways(contest: Contest) -> Table:
    size_mb = contest.model.stat().st_size / 1e6
    rows: list[Sequence[str | float | None]] = []
    for name, steps in contest.steps.items():
        seconds = median(step.ran.seconds for step in steps)
        wall_s = median(step.ran.wall_s for step in steps)
        document = steps[-1].ran.document
        moved = document["bytes_sent"] if "bytes_sent" in document else document["bytes_received"]
        rows.append([name, seconds, wall_s, size_mb / seconds, moved / 1e6, *_peaks(steps)])
    return Table(
        f"Weighbridge on {contest.place.name}",
        ("", "seconds", "whole process s", "MB/s", "moved MB", "client peak MiB", "server peak MiB"),
        rows,
    )


def _peaks(steps: Sequence[Step]) -> tuple[float, float]:
    """The client's and the server's highest."""
    return max(step.ran.peak_mib for step in steps), max(step.server_mib for step in steps)


def _lines(contest: Contest, bounded: bool) -> list[Line]:
    """``bounded``: with the bounds, and by the plain names."""
    where = "" if bounded else f"@{contest.place.folder.parent}"
    lines: list[Line] = []
    others = [name for name in contest.contenders() if name not in (OURS, _CP)]
    for verb in VERBS:
        ours_s, wall_s = contest.median_s(OURS, verb), contest.wall_s(verb)
        bound = _VS_PEER[verb] if bounded else None
        if others:
            times = {name: contest.median_s(name, verb) for name in others}
            fastest = min(times, key=times.__getitem__)
            peer_s = times[fastest]
            lines.append(Line(f"{verb}_vs_fastest_peer{where}", peer_s / ours_s, "x", bound, fastest))
            lines.append(Line(f"{verb}_process_vs_fastest_peer{where}", peer_s / wall_s, "x", None, fastest))
        else:
            lines.append(
                Line(f"{verb}_vs_fastest_peer{where}", None, "x", bound, "no peer is installed, or none worked")
            )
        if _CP in contest.contenders():
            cp_s = contest.median_s(_CP, verb)
            lines.append(Line(f"{verb}_vs_cp{where}", cp_s / ours_s, "x", _VS_CP if bounded else None))
            lines.append(Line(f"{verb}_process_vs_cp{where}", cp_s / wall_s, "x"))
    for name, steps in contest.steps.items():
        key = name.replace(",", "").replace(" ", "_")
        lines.append(Line(f"{key}_seconds{where}", median(step.ran.seconds for step in steps), "s", in_table=True))
        lines.append(
            Line(f"{key}_process_seconds{where}", median(step.ran.wall_s for step in steps), "s", in_table=True)
        )
    return lines
