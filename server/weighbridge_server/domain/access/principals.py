"""Principals, their tokens and their grants: making, ending and listing them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from weighbridge.core.errors import (
    LimitExceeded,
    PrincipalExists,
    PrincipalNotFound,
    WrongState,
)
from weighbridge.core.principals import (
    GrantedRole,
    NewToken,
    Principal,
    PrincipalKind,
    Token,
    check_grant,
    check_principal,
    scope_text,
    token_text,
)
from weighbridge.core.values import Grant
from weighbridge_server.domain.access.authentication import secret_hash
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_key, page_number, page_texts, page_token, texts_token
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.requests import once

MOST_GRANTS = 1000
"""Of one principal: they are read together where it calls."""
_MOST_NAMED = 3
_SECRET_BYTES = 32
_ID_BYTES = 8


class Principals:
    """Who may call. Changes are one after the other; every one locks before it looks (see ``PrincipalRows.lock``)."""

    def __init__(self, catalog: Catalog, changed: Callable[[], None]) -> None:
        """``changed`` is called after each change that was committed."""
        self._catalog = catalog
        self._changed = changed

    def create(self, actor: str, request_id: str, name: str, kind: PrincipalKind, description: str) -> Principal:
        """Adds a principal, without tokens and grants.

        Raises:
            InvalidName, PrincipalExists, RequestIdReused.
        """
        check_principal(name)
        payload = {"call": "CreatePrincipal", "name": name, "kind": str(kind), "description": description}
        with self._change(actor) as tx:
            once(tx, request_id, payload, lambda: add_principal(tx, name, kind, description))
            return existing_principal(tx, name)

    def disable(self, actor: str, request_id: str, name: str) -> Principal:
        """Ends a principal's tokens, and lets it have no others.

        Raises:
            PrincipalNotFound, WrongState, RequestIdReused.
        """
        with self._change(actor) as tx:
            once(tx, request_id, {"call": "DisablePrincipal", "name": name}, lambda: _disable(tx, name))
            return existing_principal(tx, name)

    def enable(self, actor: str, request_id: str, name: str) -> Principal:
        """Lets a disabled principal have tokens again. Raises: PrincipalNotFound, RequestIdReused."""
        with self._change(actor) as tx:
            once(tx, request_id, {"call": "EnablePrincipal", "name": name}, lambda: enable_principal(tx, name))
            return existing_principal(tx, name)

    def create_token(
        self, actor: str, request_id: str, principal: str, description: str, ttl_s: int | None
    ) -> NewToken:
        """Makes a token; the same request again gives it another secret, as long as nobody used it.

        Raises:
            PrincipalNotFound, WrongState, RequestIdReused.
        """
        payload = {"call": "CreateToken", "principal": principal, "description": description, "ttl": str(ttl_s)}
        made: list[NewToken] = []

        def make() -> str:
            made.append(add_token(tx, principal, description, ttl_s))
            return made[0].token.token_id

        with self._change(actor) as tx:
            token_id = once(tx, request_id, payload, make)
            return made[0] if made else _reissue(tx, token_id)

    def tokens(self, principal: str, page_size: int, token: str) -> tuple[list[Token], str]:
        """One page of a principal's tokens, or everybody's, the oldest first, and the token of the next page.

        Raises:
            PrincipalNotFound, InvalidRequest.
        """
        size = page_size or DEFAULT_SIZE
        with self._catalog.transaction() as tx:
            if principal:
                existing_principal(tx, principal)
            found = tx.principals.tokens(principal, page_number(token), size + 1)
        return [each for _, each in found[:size]], page_token(str(found[size - 1][0])) if len(found) > size else ""

    def revoke_token(self, actor: str, request_id: str, token_id: str) -> Token:
        """Ends a token. Raises: PrincipalNotFound, WrongState, RequestIdReused."""
        with self._change(actor) as tx:
            once(tx, request_id, {"call": "RevokeToken", "token_id": token_id}, lambda: _revoke_token(tx, token_id))
            return _existing_token(tx, token_id)

    def grant(self, actor: str, request_id: str, principal: str, grant: Grant) -> GrantedRole:
        """Gives a role.

        Raises:
            InvalidName, InvalidReference, PrincipalNotFound, LimitExceeded, RequestIdReused.
        """
        check_grant(grant)
        with self._change(actor) as tx:
            payload = {"call": "SetGrant", "principal": principal, **_state(grant)}
            once(tx, request_id, payload, lambda: add_grant(tx, principal, grant))
            granted = tx.principals.granted(principal, grant)
            if granted is None:
                raise _not_granted(principal, grant)
            return granted

    def revoke_grant(self, actor: str, request_id: str, principal: str, grant: Grant) -> None:
        """Takes a role. Raises: InvalidName, InvalidReference, PrincipalNotFound, WrongState, RequestIdReused."""
        check_grant(grant)
        with self._change(actor) as tx:
            payload = {"call": "RevokeGrant", "principal": principal, **_state(grant)}
            once(tx, request_id, payload, lambda: _revoke_grant(tx, principal, grant))

    def grants(self, principal: str, page_size: int, token: str) -> tuple[list[GrantedRole], str]:
        """One page of a principal's grants, or everybody's, and the token of the next. Raises as ``tokens``."""
        size = page_size or DEFAULT_SIZE
        after = page_texts(token, 4)
        with self._catalog.transaction() as tx:
            if principal:
                existing_principal(tx, principal)
            found = tx.principals.grants(principal, after, size + 1)
        if len(found) <= size:
            return found, ""
        last = found[size - 1]
        grant = last.grant
        return found[:size], texts_token(last.principal, grant.prefix, grant.alias, str(grant.role))

    def administrators(self) -> list[str]:
        """Some of those who can grant anything."""
        with self._catalog.transaction() as tx:
            return tx.principals.administrators(_MOST_NAMED)

    def list(self, page_size: int, token: str) -> tuple[list[Principal], str]:
        """One page in order of name, and the token of the next (empty: none)."""
        size = page_size or DEFAULT_SIZE
        with self._catalog.transaction() as tx:
            found = tx.principals.page(page_key(token), size + 1)
        return found[:size], page_token(found[size - 1].name) if len(found) > size else ""

    @contextmanager
    def _change(self, actor: str) -> Iterator[Transaction]:
        with self._catalog.transaction(actor) as tx:
            tx.principals.lock()
            yield tx
        self._changed()


def existing_principal(tx: Transaction, name: str) -> Principal:
    """The principal of that name. Raises: PrincipalNotFound."""
    principal = tx.principals.get(name) if name else None
    if principal is None:
        raise PrincipalNotFound(
            f"there is no principal {name!r}; 'weighbridge principal list' shows those that there are, "
            "and 'weighbridge token create' makes one",
            details={"principal": name},
        )
    return principal


def add_principal(tx: Transaction, name: str, kind: PrincipalKind, description: str) -> str:
    """Adds one whose name was checked; returns its name. Raises: PrincipalExists."""
    if not tx.principals.add(name, kind, description):
        raise PrincipalExists(f"there is a principal {name} already", details={"principal": name})
    state = {"kind": str(kind), "description": description}
    tx.record(Change("principal.created", _resource(name), "", canonical_json(state)))
    return name


def enable_principal(tx: Transaction, name: str) -> str:
    """Lets a disabled one have tokens again; returns its name. Raises: PrincipalNotFound."""
    if existing_principal(tx, name).disabled_time is not None:
        tx.principals.enable(name)
        tx.record(_event("principal.enabled", _resource(name), {"disabled": True}, {"disabled": False}))
    return name


def add_token(tx: Transaction, principal: str, description: str, ttl_s: int | None) -> NewToken:
    """Makes a token of a principal. Raises: PrincipalNotFound, WrongState."""
    owner = existing_principal(tx, principal)
    if owner.disabled_time is not None:
        raise WrongState(
            f"{principal} is disabled, by {owner.disabled_by}, and can have no token; "
            f"'weighbridge principal enable {principal}' lets it have one again",
            details={"principal": principal},
        )
    token_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    token = tx.principals.add_token(token_id, principal, description, secret_hash(secret), ttl_s)
    state = {"description": description, "ttl_s": ttl_s}
    tx.record(_event("token.created", _token_resource(token), None, state))
    return NewToken(token, token_text(token_id, secret))


def add_grant(tx: Transaction, principal: str, grant: Grant) -> str:
    """Gives a role, unless it is given. Raises: PrincipalNotFound, LimitExceeded."""
    existing_principal(tx, principal)
    if not tx.principals.grant(principal, grant):
        return principal
    if len(tx.principals.grants(principal, ("", "", "", ""), MOST_GRANTS + 1)) > MOST_GRANTS:
        raise LimitExceeded(
            f"{principal} has {MOST_GRANTS} grants, and can have no more; grant on a shorter prefix",
            details={"limit": str(MOST_GRANTS), "actual": str(MOST_GRANTS + 1)},
        )
    tx.record(_event("grant.set", _grant_resource(principal, grant), None, {"role": str(grant.role)}))
    return principal


def _disable(tx: Transaction, name: str) -> str:
    if existing_principal(tx, name).disabled_time is None:
        ended = tx.principals.disable(name)
        _require_administrator(tx)
        after = {"disabled": True, "tokens_ended": ended}
        tx.record(_event("principal.disabled", _resource(name), {"disabled": False}, after))
    return name


def _reissue(tx: Transaction, token_id: str) -> NewToken:
    token, secret = _existing_token(tx, token_id), secrets.token_urlsafe(_SECRET_BYTES)
    existing = existing_principal(tx, token.principal)
    if existing.disabled_time is not None or not tx.principals.reissue(token_id, secret_hash(secret)):
        raise WrongState(
            f"this request made the token {token_id} before, which was used or revoked since, so that its secret is "
            "not changed; make a new one with another request_id, and revoke this one if nobody has it",
            details={"token_id": token_id},
        )
    tx.record(_event("token.reissued", _token_resource(token), None, {}))
    return NewToken(token, token_text(token_id, secret))


def _revoke_token(tx: Transaction, token_id: str) -> str:
    token = _existing_token(tx, token_id)
    if token.revoked_time is None:
        tx.principals.revoke(token_id)
        _require_administrator(tx)
        tx.record(_event("token.revoked", _token_resource(token), {"revoked": False}, {"revoked": True}))
    return token_id


def _revoke_grant(tx: Transaction, principal: str, grant: Grant) -> str:
    existing_principal(tx, principal)
    if not tx.principals.ungrant(principal, grant):
        raise _not_granted(principal, grant)
    _require_administrator(tx)
    tx.record(_event("grant.revoked", _grant_resource(principal, grant), {"role": str(grant.role)}, None))
    return principal


def _require_administrator(tx: Transaction) -> None:
    if not tx.principals.administrators(1):
        raise WrongState(
            "nobody who can administer this server would be left: no principal with the role admin on * and a token "
            "that works. Make another one first"
        )


def _existing_token(tx: Transaction, token_id: str) -> Token:
    token = tx.principals.token(token_id)
    if token is None:
        # What came may be a whole token, pasted: it is not said again, as that is logged.
        raise PrincipalNotFound(
            "there is no token of that id; 'weighbridge token list' shows the ids, which stand between wb_ and the "
            "secret"
        )
    return token


def _not_granted(principal: str, grant: Grant) -> PrincipalNotFound:
    scope = scope_text(grant.prefix, grant.alias)
    return PrincipalNotFound(
        f"{principal} has not the role {grant.role} on {scope}; 'weighbridge grant list {principal}' shows what it has",
        details={"principal": principal, "role": str(grant.role), "scope": scope},
    )


def _state(grant: Grant) -> dict[str, str]:
    return {"role": str(grant.role), "prefix": grant.prefix, "alias": grant.alias}


def _resource(principal: str) -> str:
    return f"principal/{principal}"


def _token_resource(token: Token) -> str:
    return f"{_resource(token.principal)}#token:{token.token_id}"


def _grant_resource(principal: str, grant: Grant) -> str:
    return f"{_resource(principal)}#grant:{scope_text(grant.prefix, grant.alias)}"


def _event(action: str, resource: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Change:
    return Change(action, resource, *("" if state is None else canonical_json(state) for state in (before, after)))
