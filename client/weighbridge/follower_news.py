"""What a follower tells of what keeps failing: each cause once, and not at each try."""

from __future__ import annotations


class News:
    """The causes that were told since it last went well."""

    def __init__(self) -> None:
        self._told: set[tuple[type[Exception], str]] = set()

    def is_new(self, fault: Exception) -> bool:
        """Whether to tell of ``fault``, which then is told. A server that is away is no news."""
        # By its kind: the message of one cause may differ from try to try.
        cause = type(fault), getattr(fault, "reason", "")
        new = cause not in self._told and not getattr(fault, "retryable", False)
        self._told.add(cause)
        return new

    def forget(self) -> None:
        """It went well."""
        self._told.clear()
