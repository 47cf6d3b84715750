"""What policies and approvals need of storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.digest import Digest
from weighbridge.core.policies import Approval, Policy, PolicyTerms


class PolicyRows(Protocol):
    """Revisions of policies, as they were set."""

    def governing(self, prefixes: Sequence[str], target: str | None = None) -> list[Policy]:
        """Of each target, or of one, the present revision of the first of these prefixes that has one.

        In order of target.
        """
        ...

    def get(self, prefix: str, target: str, revision: int) -> Policy | None:
        """A revision of exactly this prefix."""
        ...

    def present(self) -> list[Policy]:
        """The present revision of every policy, in order of prefix and target."""
        ...

    def add(self, prefix: str, target: str, terms: PolicyTerms) -> Policy:
        """The next revision of a policy, by the transaction's actor. The caller holds the lock."""
        ...

    def lock(self, *, shared: bool) -> None:
        """Who sets a policy locks them all, and who judges by them shares the lock, until the end.

        So a version passed what governed it when its move became an event, and not what did a moment before. Taken
        after the model's row and before the journal's head.
        """
        ...


@dataclass(frozen=True)
class Binding:
    """What an answer was given for; it counts as long as all of this is so."""

    policy_prefix: str
    policy_revision: int
    pointer_revision: int
    """Of the target's pointer."""
    record_digest: Digest
    """Of what is judged: record, files and metrics."""


@dataclass(frozen=True)
class Answer:
    """An approval or a rejection."""

    approval: Approval
    approved: bool
    binding: Binding


@dataclass(frozen=True)
class RequestRow:
    """A request for approval, as the catalogue keeps it."""

    request_id: int
    model: str
    number: int
    target: str
    requester: str
    requested_time: datetime
    comment: str
    done: bool
    """The version entered."""
    closed: bool
    """It entered, or another request came after it."""
    answers: Sequence[Answer]
    """The oldest first."""


class ApprovalRows(Protocol):
    """Requests for approval and their answers. The caller locked the model for what changes them."""

    def present(self, model: str, number: int, target: str) -> RequestRow | None:
        """The newest request."""
        ...

    def add(self, model: str, number: int, target: str, requester: str, comment: str) -> None:
        """A new request; an open one before it is closed."""
        ...

    def answer(self, request_id: int, comment: str, binding: Binding, *, approved: bool) -> None:
        """An answer by the transaction's actor."""
        ...

    def finish(self, model: str, number: int, target: str) -> None:
        """The version entered: its open request, if there is one, is done."""
        ...

    def page(self, model: str, after: int, size: int, *, closed: bool) -> list[RequestRow]:
        """At most ``size`` that are newer than the id ``after``, the oldest first.

        The open ones, or with ``closed`` all; ``model``: of this one, or empty: of all.
        Those of deleted models and versions are left out.
        """
        ...
