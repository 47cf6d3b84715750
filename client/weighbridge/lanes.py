"""Streams that carry chunks at once, and what becomes of the others when one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weighbridge.core.errors import Overloaded, WeighbridgeError
from weighbridge.core.store import ChunkStore
from weighbridge.given_up import GivenUp, results


class Lanes:
    """One store, several times, each on a connection of its own. Used by one thread at a time."""

    def __init__(self, stores: Sequence[ChunkStore], name: str, given_up: GivenUp) -> None:
        """``name``: that of the threads. ``given_up``: set when ``run`` is interrupted; must end the stores' calls."""
        self._stores = list(stores)
        self._name = name
        self._given_up = given_up

    def __len__(self) -> int:
        return len(self._stores)

    @property
    def first(self) -> ChunkStore:
        """The one that is left when there are fewer."""
        return self._stores[0]

    def run(self, carry: Callable[[ChunkStore, int], None], stop: Callable[[], None]) -> None:
        """Calls ``carry`` with each store and its number, all at once, each in a thread of its own.

        A lane that the store has no place for leaves the work to the others, now and later: what is left when this
        returns wants another run. Any other failure has ``stop`` called, which makes the others end.

        Raises:
            BaseException: of what they failed with, what trying again does not mend, or else the first: others may
                follow from it.
        """
        failures: list[BaseException] = []

        def carried(store: ChunkStore, number: int) -> None:
            try:
                carry(store, number)
            except BaseException as failure:  # noqa: BLE001 - raised when the other lanes have ended
                failures.append(failure)
                if not isinstance(failure, Overloaded):
                    stop()

        with self._given_up.threads(len(self._stores), self._name) as threads:
            results(threads.submit(carried, store, number) for number, store in enumerate(self._stores))
        if len(failures) < len(self._stores) and all(isinstance(failure, Overloaded) for failure in failures):
            del self._stores[len(self._stores) - len(failures) :]
            return
        raise min(failures, key=_passes)


def _passes(failure: BaseException) -> bool:
    return isinstance(failure, WeighbridgeError) and failure.retryable
