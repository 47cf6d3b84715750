"""Finding versions: what a reference stands for, and what a version is."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.core.alias_check import STAGE_ALIASES
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import AliasNotFound, VersionDeleted, VersionNotFound
from weighbridge.core.refs import Ref, check_model_name, parse_ref, version_ref
from weighbridge.core.values import Deletion, Resolved, Version
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import any_model, existing_model
from weighbridge_server.domain.search.search import Wanted, find_page
from weighbridge_server.domain.times import utc_text

_MOST_NAMED = 10
"""How many aliases an error lists."""


class Versions:
    """Committed versions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, ref: str) -> Version:
        """A version with its whole record.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted,
            AliasNotFound.
        """
        with self._catalog.snapshot() as tx:
            return find_version(tx, parse_ref(ref), whole=True)

    def resolve(self, ref: str) -> Resolved:
        """What a reference stands for now. Raises as ``get``."""
        # An alias that moves meanwhile has its version and the revision of its move from one moment.
        with self._catalog.snapshot() as tx:
            version = find_version(tx, parse_ref(ref))
            revision = _since(tx, parse_ref(ref), version)
        return Resolved(version.model, version.version, version.ref, version.manifest, revision)

    def list(
        self,
        model: str,
        manifest: str,
        page_size: int,
        token: str,
        *,
        condition: str = "",
        order_by: str = "",
        show_deleted: bool = False,
        show_metrics: Sequence[str] = (),
        readable: Readable = None,
    ) -> tuple[list[Version], str]:
        """One page of those that a condition in CEL holds for, and the token of the next (empty: none).

        Raises:
            InvalidName, InvalidReference, InvalidRequest, InvalidExpression, LimitExceeded, ModelNotFound,
            ModelDeleted.
        """
        wanted = Wanted(model, manifest, condition, order_by, show_deleted, show_metrics, readable)
        with self._catalog.snapshot() as tx:
            if model:
                existing_model(tx, check_model_name(model))
            return find_page(tx, wanted, page_size, token)


def find_version(tx: Transaction, ref: Ref, *, whole: bool = False, deleted: bool = False) -> Version:
    """The version that a reference stands for within this transaction.

    ``deleted``: one that was deleted too, where it is named by its number, or its model was.

    Raises:
        ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
    """
    any_model(tx, ref.model) if deleted else existing_model(tx, ref.model)
    version = _read(tx, ref, whole=whole)
    if version is None and ref.alias is not None:
        raise alias_not_found(tx, ref)
    if version is None:
        raise VersionNotFound(_what_there_is(tx, ref), details={"ref": str(ref)})
    if version.deletion is not None and not deleted:
        raise version_deleted(version, version.deletion)
    return version


def _read(tx: Transaction, ref: Ref, *, whole: bool) -> Version | None:
    if ref.alias is not None:
        return tx.versions.held_by(ref.model, ref.alias, whole=whole)
    number = ref.version if ref.version is not None else tx.versions.newest(ref.model, ref.manifest)
    return tx.versions.get(ref.model, number, whole=whole) if number is not None else None


def _since(tx: Transaction, ref: Ref, version: Version) -> int:
    """The revision of the event that made a reference stand for its version."""
    if ref.alias is not None:
        return tx.events.of(str(ref), None, 1)[0].revision
    if ref.version is not None:
        return tx.events.newest_revision([version.ref], ["version.committed"])
    # The newest that is not deleted became that when it was committed or restored, or when the last of the newer
    # ones was deleted.
    newer = tx.versions.newer(version.model, version.version, ref.manifest)
    return max(
        tx.events.newest_revision([version.ref], ["version.committed", "version.restored"]),
        tx.events.newest_revision(newer, ["version.deleted"]),
    )


def alias_not_found(tx: Transaction, ref: Ref) -> AliasNotFound:
    """What is said to who names an alias that is not there."""
    names = tx.aliases.names(ref.model)
    if ref.alias in STAGE_ALIASES:
        what = f"no version of {ref.model} is in {ref.alias}; 'weighbridge promote' moves one there"
    else:
        listed = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        there = f"it has {listed}" if names else "it has none yet"
        what = f"model {ref.model} has no alias {ref.alias!r}; {there}, and 'weighbridge alias set' makes one"
    return AliasNotFound(what, details={"ref": str(ref)})


def version_deleted(version: Version, deletion: Deletion) -> VersionDeleted:
    """What is said to who names a deleted version."""
    return VersionDeleted(_how_deleted(version, deletion), details=_deletion_details(version, deletion))


def _how_deleted(version: Version, deletion: Deletion) -> str:
    # The reason last: it is long at times, and a status has room for so much.
    how = f"{version.ref} was deleted at {utc_text(deletion.time)} by {deletion.actor}"
    if version.purged_time is None:
        return f"{how}; 'weighbridge version restore {version.ref}' brings it back. The reason given: {deletion.reason}"
    return (
        f"{how}, and purged at {utc_text(version.purged_time)}: its files are gone for good. "
        f"The reason given: {deletion.reason}"
    )


def _deletion_details(version: Version, deletion: Deletion) -> dict[str, str]:
    details = {"ref": version.ref, "deleted_time": utc_text(deletion.time)}
    if version.purged_time is not None:
        details["purged_time"] = utc_text(version.purged_time)
    return {**details, "deleted_by": deletion.actor, "deletion_reason": deletion.reason}


def _what_there_is(tx: Transaction, ref: Ref) -> str:
    newest = tx.versions.newest(ref.model)
    if newest is None and any_model(tx, ref.model).latest_version:
        return (
            f"every version of {ref.model} is deleted; "
            f"'weighbridge versions {ref.model} --deleted' lists those that can be restored"
        )
    if newest is None:
        return f"model {ref.model} has no committed version yet"
    if ref.manifest is not None:
        return f"no version of {ref.model} has the manifest {format_digest(ref.manifest)}"
    return f"there is no {ref}; the newest is {version_ref(ref.model, newest)}"
