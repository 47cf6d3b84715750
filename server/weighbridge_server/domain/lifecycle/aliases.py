"""Aliases: names for versions, set, removed, listed, and where each pointed at any time."""

from __future__ import annotations

from datetime import datetime

from weighbridge.core.alias_check import STAGE_ALIASES, check_alias_change
from weighbridge.core.errors import ApprovalNeeded, LimitExceeded
from weighbridge.core.limits import ALIASES_PER_MODEL
from weighbridge.core.policies import Verdict
from weighbridge.core.refs import Ref, alias_ref, check_alias, check_model_name
from weighbridge.core.values import Alias, AliasMove, Version
from weighbridge_server.domain.journal.journal import fitting
from weighbridge_server.domain.lifecycle.pointers import (
    alias_of,
    check_revision,
    last_revision,
    made_move,
    move_of,
    point,
    unpoint,
)
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.policy.evidence import evidence
from weighbridge_server.domain.policy.gate import admit, ask_for_approval, verdict_on
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.versions import alias_not_found, find_version
from weighbridge_server.domain.requests import once


class Aliases:
    """The aliases of all models. Each change locks the model's row first, as those of a model do (see ``Models``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def set(
        self, actor: str, request_id: str, model: str, alias: str, version: int, expected: int | None, reason: str
    ) -> Alias:
        """Points an alias at a version, or makes it.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, ModelNotFound, ModelDeleted,
            VersionNotFound, VersionDeleted, RevisionConflict, RequestIdReused, PolicyRefused, ApprovalNeeded (after
            asking for them).
        """
        check_alias_change(model, alias, reason, expected, version=version)
        payload = {
            "call": "SetAlias",
            "model": model,
            "alias": alias,
            "version": str(version),
            "expected": str(expected),
            "reason": reason,
        }
        try:
            with self._catalog.transaction(actor) as tx:
                found = once(tx, request_id, payload, lambda: _set(tx, model, alias, version, expected, reason))
        except ApprovalNeeded:
            with self._catalog.transaction(actor) as tx:
                existing_model(tx, model, lock=True)
                tx.policies.lock(shared=True)
                candidate, verdict = judged_alias(tx, Ref(model, version=version), alias)
                ask_for_approval(tx, candidate, verdict, reason)
            raise
        return alias_of(made_move(self._catalog, alias_ref(model, alias), int(found)))

    def delete(self, actor: str, request_id: str, model: str, alias: str, expected: int | None, reason: str) -> None:
        """Removes an alias.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, AliasNotFound,
            RevisionConflict, RequestIdReused.
        """
        check_alias_change(model, alias, reason, expected)
        payload = {
            "call": "DeleteAlias",
            "model": model,
            "alias": alias,
            "expected": str(expected),
            "reason": reason,
        }
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _delete(tx, model, alias, expected, reason))

    def history(
        self, model: str, alias: str, at: datetime | None, page_size: int, token: str
    ) -> tuple[list[AliasMove], str]:
        """One page of the moves of an alias, newest first, and the token of the next (empty: none).

        ``at``: the move that was the last at this time, and no other.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, AliasNotFound.
        """
        check_model_name(model)
        check_alias(alias)
        before = page_number(token) or None
        size = 1 if at is not None else page_size or DEFAULT_SIZE
        resource = alias_ref(model, alias)
        with self._catalog.snapshot() as tx:
            existing_model(tx, model)
            events = tx.events.of(resource, before, size + 1, until=at)
            if not events and not tx.events.of(resource, None, 1):
                raise alias_not_found(tx, Ref(model, alias=alias))
        page = events[: min(size, fitting(events))]
        more = len(events) > len(page) and at is None
        return [move_of(event) for event in page], page_token(str(page[-1].revision)) if more else ""

    def list(self, model: str) -> list[Alias]:
        """Those of a model in order of name. Raises: InvalidName, ModelNotFound, ModelDeleted."""
        check_model_name(model)
        with self._catalog.snapshot() as tx:
            existing_model(tx, model)
            return [alias_of(event) for event in tx.aliases.moves(model)]


def _set(tx: Transaction, model: str, alias: str, number: int, expected: int | None, reason: str) -> str:
    existing_model(tx, model, lock=True)
    check_revision(tx, model, alias, expected)
    present = tx.aliases.move(model, alias)
    if present is not None and alias_of(present).version == number:
        find_version(tx, Ref(model, version=number))
        return str(present.revision - 1)  # nothing moves: the answer is what there is
    tx.policies.lock(shared=True)
    version, verdict = judged_alias(tx, Ref(model, version=number), alias)
    if present is None:
        _check_room(tx, model)
    admit(verdict)
    found = last_revision(tx, alias_ref(model, alias))
    set_alias(tx, version, alias, verdict, reason)
    return str(found)


def judged_alias(tx: Transaction, ref: Ref, alias: str) -> tuple[Version, Verdict | None]:
    """A version that an alias is to point at, whole, and what the policy of the alias says, where one protects it.

    Raises:
        ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
    """
    version = find_version(tx, ref, whole=True)
    holder = tx.versions.held_by(version.model, alias, whole=True)
    return version, verdict_on(tx, version, alias, holder)


def set_alias(tx: Transaction, version: Version, alias: str, verdict: Verdict | None, reason: str) -> None:
    """Points an alias at a version. The caller locked the model and found nothing against it."""
    said = {} if verdict is None else {"evidence": evidence(verdict)}
    point(tx, alias, version, "alias.set", reason, **said)
    tx.approvals.finish(version.model, version.version, alias)


def _delete(tx: Transaction, model: str, alias: str, expected: int | None, reason: str) -> str:
    existing_model(tx, model, lock=True)
    check_revision(tx, model, alias, expected)
    if tx.aliases.move(model, alias) is None:
        raise alias_not_found(tx, Ref(model, alias=alias))
    unpoint(tx, model, alias, "alias.deleted", reason)
    return ""


def _check_room(tx: Transaction, model: str) -> None:
    names = len({*tx.aliases.names(model)} - {*STAGE_ALIASES})
    if names >= ALIASES_PER_MODEL:
        raise LimitExceeded(
            f"model {model} has {names} aliases; a model has at most {ALIASES_PER_MODEL}. Remove some, "
            "or say what there are so many of in tags, which are searched",
            details={"limit": str(ALIASES_PER_MODEL), "actual": str(names + 1)},
        )
