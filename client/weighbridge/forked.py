"""What belongs to the process that made it, and must do nothing in a child that is forked from that one.

``multiprocessing`` forks by default on Linux. A child then has a copy of everything: of numbers that only one may
count, of locks that threads held which it does not have, and of connections that gRPC does not carry over.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class OfOneProcess(Protocol):
    """Something that only the process that made it may use."""

    def forked(self) -> None:
        """Called in each child, in its only thread, before any other code: makes every later use say what is wrong.

        Must take no lock that was there before: who held it does not run here.
        """
        ...


_made_here: WeakSet[OfOneProcess] = WeakSet()


def keep_to_this_process(made: OfOneProcess) -> None:
    """Has ``made`` told in every child that is forked from now on, for as long as it lives."""
    _made_here.add(made)


def _tell() -> None:
    for made in list(_made_here):
        made.forked()


os.register_at_fork(after_in_child=_tell)
