"""Who may call: principals, their tokens, and the roles that they have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from weighbridge.core.errors import InvalidName, InvalidReference, UsageError, Violation
from weighbridge.core.refs import check_alias, check_prefix
from weighbridge.core.values import Grant, Role

TOKEN_PREFIX = "wb_"
SYSTEM = "system"
"""The actor of what the server does by itself: nobody's name."""
LONGEST_TTL_S = 315_360_000
"""Ten years."""
DESCRIPTION_CHARS = 1024

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class PrincipalKind(StrEnum):
    """What kind of caller a principal is."""

    PERSON = "person"
    SERVICE = "service"
    """A training job, a serving node, a pipeline."""


@dataclass(frozen=True)
class Principal:
    """Who may call."""

    name: str
    """As the journal has it."""
    kind: PrincipalKind
    description: str
    created_time: datetime
    creator: str
    disabled_time: datetime | None = None
    """None: it is not disabled."""
    disabled_by: str = ""


@dataclass(frozen=True)
class Token:
    """What proves a principal, without what proves it."""

    token_id: str
    principal: str
    description: str
    created_time: datetime
    creator: str
    expires_time: datetime | None
    """None: never."""
    revoked_time: datetime | None
    """None: it was not."""
    revoked_by: str
    last_used_time: datetime | None
    """To within an hour; None: never."""
    live: bool
    """Whether it works now."""


@dataclass(frozen=True)
class NewToken:
    """A token that was just made. Nothing else has its text: keep it, and keep it to yourself."""

    token: Token
    text: str = field(repr=False)
    """What is sent: ``connect(token=…)``."""


@dataclass(frozen=True)
class GrantedRole:
    """A role that a principal has."""

    principal: str
    grant: Grant
    granted_time: datetime
    granted_by: str


@dataclass(frozen=True)
class Identity:
    """Who calls, and what they may do."""

    actor: str
    """As the journal has it."""
    authenticated: bool
    """Whether the server asks for tokens, and so knows. Where it does not, anybody may do anything."""
    kind: PrincipalKind | None
    token_id: str
    grants: Sequence[GrantedRole]


def check_principal(name: str) -> str:
    """Returns what can be the name of a principal.

    Raises:
        InvalidName: it cannot.
    """
    if name == SYSTEM:
        raise InvalidName(
            f"{SYSTEM} is what the server calls itself in the journal; choose another name",
            violations=[Violation("name", "is the server's own")],
        )
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name[:80]!r} is not a principal's name, such as alice or ci-fraud; it is a lowercase letter or digit, "
            "then up to 62 lowercase letters, digits, dots, hyphens and underscores",
            violations=[Violation("name", "is not lowercase letters, digits, dots, hyphens and underscores")],
        )
    return name


def check_grant(grant: Grant) -> Grant:
    """Returns the grant when its prefix and alias can be ones.

    Raises:
        InvalidName, InvalidReference.
    """
    check_prefix(grant.prefix)
    if grant.alias:
        check_alias(grant.alias)
    return grant


def parse_scope(text: str) -> tuple[str, str]:
    """Reads what a role is granted on: ``fraud``, ``*`` or ``fraud@production``, as prefix and alias (or nothing).

    Raises:
        InvalidName, InvalidReference.
    """
    prefix, mark, alias = text.partition("@")
    if mark and not alias:
        raise InvalidReference(f"{text!r} names no alias behind its @; write it such as fraud@production")
    check_prefix(prefix)
    return prefix, check_alias(alias) if mark else ""


def scope_text(prefix: str, alias: str) -> str:
    """``fraud``, ``*`` or ``fraud@production``."""
    return f"{prefix}@{alias}" if alias else prefix


def parse_role(text: str) -> Role:
    """Reads a role.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return Role(text)
    except ValueError as fault:
        raise UsageError(f"{text[:80]!r} is not a role; there are {', '.join(Role)}") from fault


def token_text(token_id: str, secret: str) -> str:
    """A token as it is sent."""
    return f"{TOKEN_PREFIX}{token_id}_{secret}"


def parse_token(text: str) -> tuple[str, str] | None:
    """The id and the secret in a token; None where it is none."""
    token_id, mark, secret = text.removeprefix(TOKEN_PREFIX).partition("_")
    return (token_id, secret) if text.startswith(TOKEN_PREFIX) and mark and token_id and secret else None
