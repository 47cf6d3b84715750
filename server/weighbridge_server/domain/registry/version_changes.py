"""A committed version's later life: tags and description change, it is deleted and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from weighbridge.core.errors import VersionInUse, WrongState
from weighbridge.core.record_check import check_record_update
from weighbridge.core.record_form import record_members
from weighbridge.core.refs import Ref, parse_ref
from weighbridge.core.values import Record, Scalar, Version
from weighbridge.core.version_check import check_version_deletion, numbered_ref
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.policy.automatic import promote_automatically
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.holders import version_holders
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.domain.registry.version_state import record_digest, version_state
from weighbridge_server.domain.registry.versions import find_version, version_deleted
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.schema.schemas import check_change


class VersionChanges:
    """Changes of committed versions. Each locks the model's row first, as those of a model do (see ``Models``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def update(
        self,
        actor: str,
        request_id: str,
        ref: str,
        set_tags: Mapping[str, Scalar],
        remove_tags: Sequence[str],
        description: str | None,
    ) -> Version:
        """Sets and removes tags, and changes the description where one is given.

        Raises:
            InvalidReference, InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, LimitExceeded, SchemaViolated, RequestIdReused.
        """
        check_record_update(set_tags, remove_tags, description)
        wanted = parse_ref(ref)
        payload = {
            "call": "UpdateVersion",
            "ref": ref,
            "set": record_members(Record(tags=set_tags))["tags"],
            "remove": sorted(remove_tags),
            "description": description,
        }
        with self._catalog.transaction(actor) as tx:
            changed = once(tx, request_id, payload, lambda: _update(tx, wanted, set_tags, remove_tags, description))
            return find_version(tx, parse_ref(changed), whole=True)

    def delete(self, actor: str, request_id: str, ref: str, reason: str) -> Version:
        """Hides a version.

        Raises:
            InvalidReference, InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, VersionInUse, RequestIdReused.
        """
        check_version_deletion(reason)
        wanted = parse_ref(ref)
        payload = {"call": "DeleteVersion", "ref": ref, "reason": reason}
        with self._catalog.transaction(actor) as tx:
            deleted = once(tx, request_id, payload, lambda: _delete(tx, wanted, reason))
            return find_version(tx, parse_ref(deleted), whole=True, deleted=True)

    def restore(self, actor: str, request_id: str, ref: str) -> Version:
        """Brings a deleted version back.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted (it was
            purged), WrongState, RequestIdReused.
        """
        wanted = numbered_ref(ref)
        payload = {"call": "RestoreVersion", "ref": ref}
        with self._catalog.transaction(actor) as tx:
            restored = once(tx, request_id, payload, lambda: _restore(tx, wanted))
            return find_version(tx, parse_ref(restored), whole=True)


def _update(
    tx: Transaction, ref: Ref, set_tags: Mapping[str, Scalar], remove_tags: Sequence[str], description: str | None
) -> str:
    existing_model(tx, ref.model, lock=True)
    version = find_version(tx, ref, whole=True)
    old = version.record
    assert old is not None, "the whole version was asked for"
    tags = {name: value for name, value in {**old.tags, **set_tags}.items() if name not in remove_tags}
    new = replace(old, tags=tags, description=old.description if description is None else description)
    text = record_text(new)
    if text != record_text(old):
        check_change(tx, version, replace(version, record=new))
        tx.version_changes.record(version.model, version.version, text)
        before, after = _difference(old, new)
        tx.record(Change("version.updated", version.ref, canonical_json(before), canonical_json(after)))
        tx.policies.lock(shared=True)
        promote_automatically(tx, find_version(tx, parse_ref(version.ref), whole=True))
    return version.ref


def _difference(old: Record, new: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the journal says was, and is: the tags that differ, the description where it does, and the digests."""
    members = record_members(old), record_members(new)
    differing = [
        name for name in sorted({*old.tags, *new.tags}) if members[0]["tags"].get(name) != members[1]["tags"].get(name)
    ]
    states: list[dict[str, Any]] = []
    for record, said in zip((old, new), members, strict=True):
        state: dict[str, Any] = {"record_digest": record_digest(record)}
        if differing:
            state["tags"] = {name: said["tags"][name] for name in differing if name in said["tags"]}
        if old.description != new.description:
            state["description"] = record.description
        states.append(state)
    return states[0], states[1]


def _delete(tx: Transaction, ref: Ref, reason: str) -> str:
    existing_model(tx, ref.model, lock=True)
    before = find_version(tx, ref, whole=True)
    holders = version_holders(tx, before)
    if holders:
        raise VersionInUse(
            f"{before.ref} is in use and cannot be deleted; end what is listed first",
            violations=holders,
            details={"ref": before.ref},
        )
    tx.version_changes.delete(before.model, before.version, reason)
    record_change(tx, "version.deleted", before)
    return before.ref


def _restore(tx: Transaction, ref: Ref) -> str:
    existing_model(tx, ref.model, lock=True)
    before = find_version(tx, ref, whole=True, deleted=True)
    if before.deletion is None:
        raise WrongState(f"{before.ref} is not deleted", details={"ref": before.ref})
    if before.purged_time is not None:
        raise version_deleted(before, before.deletion)
    tx.version_changes.restore(before.model, before.version)
    record_change(tx, "version.restored", before)
    return before.ref


def record_change(tx: Transaction, action: str, before: Version) -> None:
    """Has the journal say what became of a version, which was ``before``."""
    after = find_version(tx, parse_ref(before.ref), whole=True, deleted=True)
    states = (canonical_json(version_state(version)) for version in (before, after))
    tx.record(Change(action, before.ref, *states))
