"""Settings of a process that is wholly ours, the command line's or the server's; never of one that imports us."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # from malloc.h
_ABOVE_ANY_CHUNK = 4 * 1024 * 1024
_KEPT_BYTES = 16 * 1024 * 1024
_ARENAS = 4


def prepare_process() -> None:
    """Call it first."""
    _keep_heaps()
    # numpy starts BLAS threads when it is loaded, which spin for a while: we only move bytes with it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def give_back_memory(above_bytes: int) -> None:
    """Gives the system what the allocator keeps and nobody uses, where the process takes more than ``above_bytes``.

    One heap cannot use what another keeps: requests of 4 MiB that become 200 MB of objects, each handled by another
    thread, would otherwise add up.
    """
    with contextlib.suppress(OSError, AttributeError):
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
        if resident_pages * os.sysconf("SC_PAGE_SIZE") > above_bytes:
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _keep_heaps() -> None:
    """Has glibc's allocator use memory again in place of giving it back and asking for it anew.

    By default it maps each large buffer and unmaps it when it is freed: every page of every chunk then costs a fault
    and is zeroed first, which takes as long as all else that is done with it (measured on streams of 1.4 MB messages:
    1.9 to 1.4 core-seconds for 1.4 GB). And it keeps a heap for each thread, each with room for the largest it has
    had: a few serve all. Elsewhere (musl, macOS) there is nothing to set.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _ABOVE_ANY_CHUNK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
