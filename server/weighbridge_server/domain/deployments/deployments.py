"""Deployments: what each node says that it runs.

A report that says nothing new moves one time in one row: it locks no model and leaves no event, so that ten thousand
nodes may report every few seconds. What changes what a node runs locks the model and is an event.
"""

from __future__ import annotations

from weighbridge.core.deployment_check import check_node, check_report
from weighbridge.core.deployments import DEFAULT_ALIAS, DEFAULT_TTL_S, Deployment
from weighbridge.core.digest import Digest, format_digest, parse_digest
from weighbridge.core.refs import Ref, check_model_name, parse_ref
from weighbridge.core.values import Version
from weighbridge_server.domain.access.callers import Caller, Readable, reads
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_texts, texts_token
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import any_model
from weighbridge_server.domain.registry.versions import find_version


class Deployments:
    """What runs where."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def report(self, caller: Caller, node: str, ref: str, digest: str, alias: str, ttl_s: int) -> Deployment:
        """Notes that a node runs a version, or content with this digest, for ``ttl_s`` from now.

        By a digest, only versions that the caller reads are found.

        Raises:
            InvalidRequest, InvalidReference, InvalidName, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        alias, ttl_s = alias or DEFAULT_ALIAS, ttl_s or DEFAULT_TTL_S
        check_report(node, alias, ttl_s)
        with self._catalog.transaction(caller.actor) as tx:
            named = parse_ref(ref) if ref else _registered(tx, parse_digest(digest), alias, caller.readable)
            model = "" if named is None else named.model
            if named is None or named.version is None or not _renewed(tx, node, named, alias, ttl_s):
                version = None if named is None else _version(tx, named)
                manifest = parse_digest(digest) if version is None else version.manifest
                _change(tx, node, version, manifest, alias, ttl_s)
            deployment = tx.deployments.get(node, model)
        assert deployment is not None, "it was put there by this transaction"
        return deployment

    def retire(self, caller: Caller, node: str, model: str) -> int:
        """Notes that a node runs a model no more, or nothing at all; how many deployments that ended.

        Nothing: nothing that the caller reads, or that is not registered.

        Raises:
            InvalidRequest, InvalidName.
        """
        check_node(node)
        with self._catalog.transaction(caller.actor) as tx:
            models = [check_model_name(model)] if model else tx.deployments.models(node)
            return sum(_retired(tx, node, each) for each in models if not each or reads(caller.readable, each))

    def list(
        self, model: str, ref: str, live: bool, size: int, token: str, readable: Readable = None
    ) -> tuple[list[Deployment], str]:
        """One page in order of model and node, and the token of the next (empty: none).

        Raises:
            InvalidRequest, InvalidName, InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        size = size or DEFAULT_SIZE
        after = page_texts(token, 2)
        with self._catalog.transaction() as tx:
            if model:
                any_model(tx, check_model_name(model))
            version = find_version(tx, parse_ref(ref), deleted=True) if ref else None
            of = None if version is None else (version.model, version.version)
            found = tx.deployments.page(model, of, live=live, after=after, size=size + 1, readable=readable)
        deployments = found[:size]
        if len(found) <= size:
            return deployments, ""
        last = deployments[-1]
        return deployments, texts_token(last.model, last.node)


def _registered(tx: Transaction, manifest: Digest, alias: str, readable: Readable) -> Ref | None:
    found = tx.deployments.registered(manifest, alias, readable)
    return None if found is None else Ref(found[0], version=found[1])


def _version(tx: Transaction, named: Ref) -> Version:
    """What is run; a deleted one too. Its model is locked first, as for every change."""
    any_model(tx, named.model, lock=True)
    return find_version(tx, named, deleted=True)


def _renewed(tx: Transaction, node: str, named: Ref, alias: str, ttl_s: int) -> bool:
    return named.version is not None and tx.deployments.renew(node, named.model, named.version, alias, ttl_s)


def _change(tx: Transaction, node: str, version: Version | None, manifest: Digest, alias: str, ttl_s: int) -> None:
    model = "" if version is None else version.model
    before = tx.deployments.get(node, model)
    tx.deployments.put(node, version, manifest, alias, ttl_s)
    after = tx.deployments.get(node, model)
    was, now = _state(before), _state(after)
    if was != now:
        action = "deployment.changed" if before is not None else "deployment.started"
        tx.record(Change(action, _resource(node, model), was, now))
    if version is not None:
        unregistered = tx.deployments.get(node, "")
        if unregistered is not None and unregistered.manifest == manifest:  # it was registered since
            _retired(tx, node, "")


def _retired(tx: Transaction, node: str, model: str) -> bool:
    if model and tx.models.get(model, lock=True) is None:
        return False
    before = tx.deployments.get(node, model)
    if before is None:
        return False
    tx.deployments.retire(node, model)
    tx.record(Change("deployment.retired", _resource(node, model), _state(before), ""))
    return True


def _state(deployment: Deployment | None) -> str:
    """What the journal says of a deployment: what it runs, and not when it last said so."""
    if deployment is None:
        return ""
    return canonical_json(
        {
            "node": deployment.node,
            "ref": deployment.ref,
            "manifest_digest": format_digest(deployment.manifest),
            "alias": deployment.alias,
        }
    )


def _resource(node: str, model: str) -> str:
    """A deployment's name in the journal, under its model where it has one."""
    return f"{model}#node:{node}" if model else f"node:{node}"
