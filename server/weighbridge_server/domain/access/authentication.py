"""Who calls: what a token proves, looked up once in a while and not for every call."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3

from weighbridge.core.errors import Unauthenticated
from weighbridge.core.principals import GrantedRole, PrincipalKind, parse_token
from weighbridge_server.domain.access.callers import Caller
from weighbridge_server.domain.access.ports import Credential
from weighbridge_server.domain.ports import Catalog

REMEMBERED_S = 3.0
"""So long at most a process goes by what it read of a token: that much later a revocation takes effect in others."""
_MOST_REMEMBERED = 10_000
_HOW_TO_NAME_ONE = "name one with --token, WEIGHBRIDGE_TOKEN or WEIGHBRIDGE_TOKEN_FILE; an admin makes them"


@dataclass(frozen=True)
class Authenticated:
    """Who calls, proven."""

    caller: Caller
    kind: PrincipalKind
    token_id: str
    grants: Sequence[GrantedRole]


class Authentication:
    """Takes tokens for those that they belong to. Safe to use from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, tuple[float, Credential]] = {}
        self._forgotten = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Looks everything up anew: a change that this process made takes effect at once."""
        with self._lock:
            self._forgotten += 1
            self._known.clear()

    def of(self, token: str | None) -> Authenticated:
        """Whose a token is, and what they may do.

        Raises:
            Unauthenticated: it is nobody's, or it does not work any more.
        """
        if not token:
            raise Unauthenticated(f"this server asks who calls, and no token came; {_HOW_TO_NAME_ONE}")
        named = parse_token(token)
        credential = None if named is None else self._credential(*named)
        # Whether the id or the secret is wrong is not said, nor anything about a token before its secret is right.
        if credential is None:
            raise Unauthenticated(f"the token that came is none of this server's; {_HOW_TO_NAME_ONE}")
        _check_works(credential)
        return Authenticated(
            Caller(credential.principal, tuple(each.grant for each in credential.grants)),
            credential.kind,
            credential.token_id,
            credential.grants,
        )

    def _credential(self, token_id: str, secret: str) -> Credential | None:
        """What is known of a token, if the secret is its own."""
        known_until, credential = self._known.get(token_id, (0.0, None))
        began, forgotten = time.monotonic(), self._forgotten
        if credential is not None and began < known_until:
            return credential if _proves(secret, credential) else None
        with self._catalog.transaction() as tx:
            credential = tx.principals.credential(token_id)
            if credential is None or not _proves(secret, credential):
                return None
            if _works(credential):
                tx.principals.used(token_id)
        self._remember(began, forgotten, credential)
        return credential

    def _remember(self, began: float, forgotten: int, credential: Credential) -> None:
        """Until it expires, if that is sooner: an expiry is exact. Not what was read before something changed."""
        most_s = REMEMBERED_S if credential.expires_in_s is None else min(REMEMBERED_S, credential.expires_in_s)
        with self._lock:
            if forgotten != self._forgotten:
                return
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[credential.token_id] = (began + most_s, credential)


def secret_hash(secret: str) -> bytes:
    """What is kept of a secret. No slow hash: nobody guesses 256 random bits, and every call computes this."""
    return blake3(secret.encode()).digest()


def _proves(secret: str, credential: Credential) -> bool:
    return hmac.compare_digest(secret_hash(secret), credential.secret_hash)


def _works(credential: Credential) -> bool:
    expired = credential.expires_in_s is not None and credential.expires_in_s <= 0
    return not (credential.disabled or credential.revoked or expired)


def _check_works(credential: Credential) -> None:
    if _works(credential):
        return
    why = "was revoked" if credential.revoked else "has expired"
    if credential.disabled:
        why = f"does not work any more: {credential.principal} is disabled"
    raise Unauthenticated(f"the token {credential.token_id} {why}; {_HOW_TO_NAME_ONE}")
