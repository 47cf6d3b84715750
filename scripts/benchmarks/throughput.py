"""Push and pull through the real command line, beside ``cp`` and beside what a user would pick instead.

Everything reads from a warm page cache, what was written before is on the disk when a clock starts, and the machine
has memory at hand. Every round
begins with new stores, so that nobody holds the content already; the contenders take turns, and each round another
one is first. The times are medians over the rounds, and the ratios are ratios of these.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import throughput_report
from benchmarks.apart import apart
from benchmarks.contest import Contest
from benchmarks.model import make_model
from benchmarks.options import Plan
from benchmarks.peers import COPY, PEERS, MakePeer
from benchmarks.places import work_in
from benchmarks.progress import say
from benchmarks.report import Section
from benchmarks.tools import Tools

_MODEL = "model.safetensors"
_LAYER = 12


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    section = Section("throughput")
    contenders = [COPY, *_installed(plan.tools, work, section)]
    say("throughput: making the model")
    made = work / "throughput"
    apart(make_model, made / "older" / _MODEL, plan.size_bytes)
    apart(make_model, made / "newer" / _MODEL, plan.size_bytes, other_layer=_LAYER)
    with ExitStack() as places:
        contests = []
        for parent in plan.on:
            place = places.enter_context(work_in(parent))
            models = shutil.copytree(made, place.folder / "made")
            contests.append(Contest(place, models / "older" / _MODEL, models / "newer" / _MODEL))
        shutil.rmtree(made)
        for number in range(plan.rounds):
            for contest in contests:
                say(f"throughput: round {number + 1} of {plan.rounds} on {contest.place.name}")
                _round(contest, contenders, plan.tools, number)
        throughput_report.report(section, contests)
    return section


def _installed(tools: Tools, work: Path, section: Section) -> list[MakePeer]:
    """The peers that are here; the notes have their releases, and who is not here."""
    folder = work / "installed"
    folder.mkdir()
    found = []
    for make in PEERS:
        peer = make(tools, folder)
        if peer.installed():
            found.append(make)
            section.notes.append(f"{peer.name}: {peer.version()}")
        else:
            section.notes.append(f"{peer.name}: not installed, neither in --peers-bin nor on the PATH")
    shutil.rmtree(folder)
    return found


def _round(contest: Contest, contenders: list[MakePeer], tools: Tools, number: int) -> None:
    turns: list[Callable[[], None]] = [
        contest.run_ours,
        *(partial(contest.run_peer, make, tools) for make in contenders),
    ]
    first = number % len(turns)
    for turn in (*turns[first:], *turns[:first]):
        turn()
