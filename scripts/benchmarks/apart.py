"""Work in a process of its own.

A child's high-water mark begins with its parent's size, so whatever takes memory here would show in the figures of
every command that is started later. And what is bound to one core stays bound.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def apart(function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
    """What a function of a module returns, or raises, when a new process calls it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *args, **kwargs).result()


def use_one_core() -> None:
    """Binds this process, and the children that it starts, to one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
