"""What is going on, for whoever waits: on standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
