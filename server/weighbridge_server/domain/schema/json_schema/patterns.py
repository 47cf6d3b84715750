"""Regular expressions of schemas, by RE2: it looks at each character once, whatever the pattern.

Python's own can take forever, and no other thread runs meanwhile: one pattern would stop the server.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

_PROGRAM_BYTES = 1024 * 1024


def compile_pattern(pattern: str) -> Any:
    """What ``search`` is asked of.

    Raises:
        ValueError: RE2 cannot read it; says what.
    """
    options = re2.Options()
    options.max_mem = _PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        said = fault.args[0].decode(errors="replace") if fault.args and isinstance(fault.args[0], bytes) else str(fault)
        raise ValueError(said) from fault


@lru_cache(1024)
def _kept(pattern: str) -> Any:
    return compile_pattern(pattern)


def is_in(text: str, pattern: str) -> bool:
    """Whether the pattern, which compiles, matches somewhere in the text."""
    return _kept(pattern).search(text) is not None
