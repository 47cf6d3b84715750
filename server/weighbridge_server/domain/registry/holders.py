"""What keeps a version, or a whole model, from being deleted."""

from __future__ import annotations

from weighbridge.core.alias_check import STAGE_ALIASES
from weighbridge.core.errors import Violation
from weighbridge.core.promotion import DISPLACED
from weighbridge.core.refs import alias_ref
from weighbridge.core.values import Version
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.registry.ports import UploadRow
from weighbridge_server.domain.times import utc_text

_MOST = 1000
"""Of each kind: a status lists some twenty and counts the others."""


def model_holders(tx: Transaction, name: str) -> list[Violation]:
    """Every holder of a model. Its row is locked: none comes to it meanwhile."""
    aliases = [
        Violation(f"aliases.{alias}", f"points at a version of it; {_unaliased(name, alias)}")
        for alias in tx.aliases.names(name)
        if alias not in STAGE_ALIASES
    ]
    children = [
        Violation(f"children.{child}", "was made from a version of it; delete that one first")
        for child in tx.lineage.children_elsewhere(name, _MOST)
    ]
    uploads = [
        Violation(f"uploads.{upload.upload_id}", _how_open(upload)) for upload in tx.uploads.open_of(name, _MOST)
    ]
    begun = [
        Violation(f"uploads.{upload.upload_id}", _names_parent(upload, "a version of it"))
        for upload in tx.uploads.open_children_elsewhere(name, _MOST)
    ]
    live = tx.deployments.page(name, None, live=True, after=("", ""), size=_MOST)
    nodes = [
        Violation(f"deployments.{each.node}", f"runs {each.ref}; move the node to another model, or stop it")
        for each in live
    ]
    return [*_held_stages(tx, name), *aliases, *children, *uploads, *begun, *nodes]


def _held_stages(tx: Transaction, name: str) -> list[Violation]:
    held = [(stage, tx.versions.held_by(name, stage, whole=False)) for stage in STAGE_ALIASES]
    return [
        Violation(f"stages.{stage}", f"is held by {version.ref}; {_way_out(version)}")
        for stage, version in held
        if version is not None
    ]


def version_holders(tx: Transaction, version: Version) -> list[Violation]:
    """Every holder, each with what would end it. The version's model is locked: none comes or goes meanwhile."""
    return [*_stage(version), *_aliases(version), *_children(tx, version), *_uploads(tx, version), *_nodes(tx, version)]


def _stage(version: Version) -> list[Violation]:
    if version.stage not in DISPLACED:
        return []
    return [Violation("stage", f"is {version.stage}; {_way_out(version)}")]


def _way_out(version: Version) -> str:
    return f"'weighbridge promote {version.ref} {DISPLACED[version.stage]}' moves it out"


def _aliases(version: Version) -> list[Violation]:
    """But for those that come with its stage."""
    return [
        Violation(f"aliases.{alias}", f"points at it; {_unaliased(version.model, alias)}")
        for alias in version.aliases
        if alias not in STAGE_ALIASES
    ]


def _unaliased(model: str, alias: str) -> str:
    return f"'weighbridge alias rm {alias_ref(model, alias)}' removes it"


def _children(tx: Transaction, version: Version) -> list[Violation]:
    children = tx.lineage.children(version.model, version.version, _MOST)
    return [Violation(f"children.{child}", "was made from it; delete that one first") for child in children]


def _nodes(tx: Transaction, version: Version) -> list[Violation]:
    live = tx.deployments.page("", (version.model, version.version), live=True, after=("", ""), size=_MOST)
    return [
        Violation(f"deployments.{each.node}", "runs it; move the node to another version, or stop it") for each in live
    ]


def _how_open(upload: UploadRow) -> str:
    """Of an open upload: whose it is, and when it would end by itself."""
    ends = min(upload.lease_expires_time, upload.hard_expires_time)
    return f"is open, begun by {upload.actor}; unless it goes on, it ends at {utc_text(ends)}"


def _uploads(tx: Transaction, version: Version) -> list[Violation]:
    return [
        Violation(f"uploads.{upload.upload_id}", _names_parent(upload, "it"))
        for upload in tx.uploads.open_children(version.ref, _MOST)
    ]


def _names_parent(upload: UploadRow, what: str) -> str:
    return f"names {what} as a parent; for {upload.model}, it {_how_open(upload)}"
