"""Who calls, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from weighbridge.core.refs import ALL_NAMES, prefixes_of
from weighbridge.core.values import Grant, Role

Readable = frozenset[str] | None
"""Prefixes of names; None: all names."""

INCLUDES: Mapping[Role, frozenset[Role]] = {
    Role.READER: frozenset({Role.READER}),
    Role.CONTRIBUTOR: frozenset({Role.READER, Role.CONTRIBUTOR}),
    Role.APPROVER: frozenset({Role.READER, Role.APPROVER}),
    Role.MAINTAINER: frozenset({Role.READER, Role.CONTRIBUTOR, Role.APPROVER, Role.MAINTAINER}),
    Role.ADMIN: frozenset(Role),
}
"""What each role may: who approves need not be one who pushes, and the other way round."""


@dataclass(frozen=True)
class Caller:
    """Who makes a call."""

    actor: str
    """As the journal has it."""
    grants: Sequence[Grant] | None = None
    """None: the server does not ask who calls, and anybody may do anything."""

    @cached_property
    def readable(self) -> Readable:
        """The prefixes of the names that they may read: every role reads, one for an alias too."""
        if self.grants is None or any(grant.prefix == ALL_NAMES for grant in self.grants):
            return None
        return frozenset(grant.prefix for grant in self.grants)

    @property
    def authenticated(self) -> bool:
        """Whether the server knows that they are who they say."""
        return self.grants is not None

    def has_role(self, role: Role, model: str, alias: str = "") -> bool:
        """Whether they may what a role may: for a model or prefix, or at least for one alias or stage of it."""
        if self.grants is None:
            return True
        prefixes = prefixes_of(model)
        return any(
            role in INCLUDES[grant.role] and grant.prefix in prefixes and grant.alias in {"", alias}
            for grant in self.grants
        )


def reads(readable: Readable, model: str) -> bool:
    """Whether a model, or all that a prefix governs, is among what is readable."""
    return readable is None or not readable.isdisjoint(prefixes_of(model))


def concerns(readable: Readable, prefix: str) -> bool:
    """Whether something that is readable is below a prefix, or all of the prefix is readable."""
    return reads(readable, prefix) or any(prefix in prefixes_of(each) for each in readable or ())
