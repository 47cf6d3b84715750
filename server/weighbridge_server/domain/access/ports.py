"""What principals, their tokens and their grants need of storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from weighbridge.core.principals import GrantedRole, Principal, PrincipalKind, Token
from weighbridge.core.values import Grant


@dataclass(frozen=True)
class Credential:
    """What a token is worth, by the database's clock."""

    token_id: str
    secret_hash: bytes = field(repr=False)
    principal: str
    kind: PrincipalKind
    disabled: bool
    """Its principal is."""
    revoked: bool
    expires_in_s: float | None
    """Not above zero: it has expired. None: it never does."""
    grants: Sequence[GrantedRole]


class PrincipalRows(Protocol):
    """Principals, tokens and grants. All times are the database's."""

    def lock(self) -> None:
        """Nobody else changes any of them until the transaction ends."""
        ...

    def add(self, name: str, kind: PrincipalKind, description: str) -> bool:
        """Adds one, created by the transaction's actor; False when the name is taken."""
        ...

    def get(self, name: str) -> Principal | None: ...

    def page(self, after: str, size: int) -> list[Principal]:
        """In order of name, from the first after ``after``."""
        ...

    def disable(self, name: str) -> int:
        """Disables one and revokes its tokens; how many of them worked."""
        ...

    def enable(self, name: str) -> None: ...

    def credential(self, token_id: str) -> Credential | None: ...

    def used(self, token_id: str) -> None:
        """Notes that a token is used; within an hour of the last note, nothing is written."""
        ...

    def add_token(
        self, token_id: str, principal: str, description: str, secret_hash: bytes, ttl_s: int | None
    ) -> Token: ...

    def reissue(self, token_id: str, secret_hash: bytes) -> bool:
        """Gives a token another secret; False where it was used or revoked."""
        ...

    def token(self, token_id: str) -> Token | None: ...

    def tokens(self, principal: str, after: int, size: int) -> list[tuple[int, Token]]:
        """With their keys, in the order in which they were made; ``principal``: empty for everybody's."""
        ...

    def revoke(self, token_id: str) -> None: ...

    def grant(self, principal: str, grant: Grant) -> bool:
        """False where it was granted already."""
        ...

    def ungrant(self, principal: str, grant: Grant) -> bool:
        """False where it was not granted."""
        ...

    def granted(self, principal: str, grant: Grant) -> GrantedRole | None: ...

    def grants(self, principal: str, after: Sequence[str], size: int) -> list[GrantedRole]:
        """In order of principal, prefix, alias and role, from the first after these four; as ``tokens`` else."""
        ...

    def administrators(self, most: int) -> list[str]:
        """Those who can use a token and are admin on all names, in order of name."""
        ...
