"""The samples of one place: who took how long."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks import ours
from benchmarks.files import content_digest
from benchmarks.peers import MakePeer
from benchmarks.places import Place
from benchmarks.tools import Tools

OURS = "Weighbridge"

Verb = Literal["push", "pull"]
VERBS: tuple[Verb, ...] = ("push", "pull")


@dataclass
class Contest:
    """What was measured on one place so far; a value a round."""

    place: Place
    model: Path
    newer: Path
    """The same model with one layer changed."""
    steps: dict[str, list[ours.Step]] = field(default_factory=lambda: defaultdict(list))
    """By the step's name."""
    failed: dict[str, str] = field(default_factory=dict)
    """Contenders that did not do it, and why; they are asked no more."""
    _seconds: dict[tuple[str, Verb], list[float]] = field(default_factory=lambda: defaultdict(list))

    def contenders(self) -> list[str]:
        """Everybody who did it in every round, in order of first appearance."""
        return [name for name in dict.fromkeys(name for name, _ in self._seconds) if name not in self.failed]

    def median_s(self, contender: str, verb: Verb) -> float:
        """The median of a contender's seconds."""
        return median(self._seconds[contender, verb])

    def wall_s(self, verb: Verb) -> float:
        """The median of the seconds of our whole processes, with their starts."""
        return median(step.ran.wall_s for step in self.steps[verb])

    def run_ours(self) -> None:
        """One round of ours. Raises: RuntimeError."""
        folder = self.place.folder / "ours"
        folder.mkdir(mode=0o711)
        for step in ours.round_trip(self.place, folder, self.model, self.newer):
            self.steps[step.name].append(step)
        for verb in VERBS:
            self._seconds[OURS, verb].append(self.steps[verb][-1].ran.seconds)
        shutil.rmtree(folder)

    def run_peer(self, make: MakePeer, tools: Tools) -> None:
        """One round of somebody else; what fails is noted and does not stop the others."""
        folder, dest = self.place.folder / "peer", self.place.folder / "pulled"
        folder.mkdir()
        dest.mkdir()
        peer = make(tools, folder)
        try:
            if peer.name not in self.failed:
                with peer:
                    self.place.settle(self.model.stat().st_size)
                    pushed_s = peer.push(self.model)
                    self.place.settle(self.model.stat().st_size)
                    pulled_s = peer.pull(dest)
                if content_digest(dest / self.model.name) != content_digest(self.model):
                    raise RuntimeError("what came out is not what went in")
                self._seconds[peer.name, "push"].append(pushed_s)
                self._seconds[peer.name, "pull"].append(pulled_s)
        except Exception as failure:  # noqa: BLE001 - it is somebody else's program, and may fail in any way
            self.failed[peer.name] = str(failure) or type(failure).__name__
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(dest)
