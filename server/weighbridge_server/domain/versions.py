"""Finding versions: what a reference stands for, and what a version is."""

from __future__ import annotations

from weighbridge.core.digest import format_digest, parse_digest
from weighbridge.core.errors import AliasNotFound, VersionNotFound
from weighbridge.core.refs import Ref, check_model_name, parse_ref, version_ref
from weighbridge.core.values import Resolved, Version
from weighbridge_server.domain.models import any_model, existing_model
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.ports import Catalog, Transaction


class Versions:
    """Committed versions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, ref: str) -> Version:
        """A version with its whole record.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        with self._catalog.transaction() as tx:
            return find_version(tx, parse_ref(ref), whole=True)

    def resolve(self, ref: str) -> Resolved:
        """What a reference stands for now. Raises as ``get``."""
        with self._catalog.transaction() as tx:
            version = find_version(tx, parse_ref(ref))
            # Until aliases exist, every reference came to stand for its version by that version's commit.
            revision = tx.events.newest_revision(version.ref)
        return Resolved(version.model, version.version, version.ref, version.manifest, revision)

    def list(self, model: str, manifest: str, page_size: int, token: str) -> tuple[list[Version], str]:
        """One page, newest first, and the token of the next (empty: none).

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted.
        """
        size = page_size or DEFAULT_SIZE
        before = page_number(token) or None
        digest = parse_digest(manifest) if manifest else None
        with self._catalog.transaction() as tx:
            if model:
                existing_model(tx, check_model_name(model))
            rows = tx.versions.page(model, digest, before, size + 1)
        versions = [version for _, version in rows[:size]]
        return versions, page_token(str(rows[size - 1][0])) if len(rows) > size else ""


def find_version(tx: Transaction, ref: Ref, *, whole: bool = False, deleted: bool = False) -> Version:
    """The version that a reference stands for within this transaction; ``deleted``: of a deleted model too.

    Raises:
        ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
    """
    any_model(tx, ref.model) if deleted else existing_model(tx, ref.model)
    if ref.alias is not None:
        raise AliasNotFound(f"model {ref.model} has no alias {ref.alias!r}", details={"ref": str(ref)})
    number = ref.version if ref.version is not None else tx.versions.newest(ref.model, ref.manifest)
    version = tx.versions.get(ref.model, number, whole=whole) if number is not None else None
    if version is None:
        raise VersionNotFound(_what_there_is(tx, ref), details={"ref": str(ref)})
    return version


def _what_there_is(tx: Transaction, ref: Ref) -> str:
    newest = tx.versions.newest(ref.model)
    if newest is None:
        return f"model {ref.model} has no committed version yet"
    if ref.manifest is not None:
        return f"no version of {ref.model} has the manifest {format_digest(ref.manifest)}"
    return f"there is no {ref}; the newest is {version_ref(ref.model, newest)}"
