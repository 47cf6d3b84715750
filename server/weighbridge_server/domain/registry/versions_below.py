"""The versions that a reference, a model or a prefix stands for, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.errors import ModelNotFound
from weighbridge.core.refs import ALL_NAMES, Ref, check_prefix, parse_ref
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.models import existing_model

_MODELS_AT_ONCE = 100


def versions_below(catalog: Catalog, target: str) -> Iterator[Ref]:
    """One version by its reference, or those of a model or prefix, of each model the newest first.

    Deleted ones are left out. No transaction is open between two of them.

    Raises:
        InvalidName, InvalidReference, ModelNotFound, ModelDeleted.
    """
    if any(mark in target for mark in ":@#"):
        yield parse_ref(target)
        return
    for model, newest in _models_below(catalog, check_prefix(target)):
        for number in range(newest, 0, -1):
            with catalog.transaction() as tx:
                version = tx.versions.get(model, number, whole=False)
            if version is not None and version.deletion is None:
                yield Ref(model, version=number)


def _models_below(catalog: Catalog, prefix: str) -> Iterator[tuple[str, int]]:
    """The models that a prefix governs, and their newest versions' numbers; deleted ones are left out.

    Raises:
        ModelNotFound, ModelDeleted: there is none, and it is not ``*``.
    """
    within = "" if prefix == ALL_NAMES else f"{prefix}."
    with catalog.transaction() as tx:
        page = [model for model in tx.models.page(within, _MODELS_AT_ONCE) if model.name.startswith(within)]
        named = tx.models.get(prefix)
        if named is not None and (named.deletion is None or not page):
            page = [existing_model(tx, prefix), *page]
    if not page and within:
        raise ModelNotFound(
            f"there is no model {prefix}, and none below it; 'weighbridge models' lists them",
            details={"model": prefix},
        )
    while page:
        yield from ((model.name, model.latest_version) for model in page)
        after = max(page[-1].name, within)
        with catalog.transaction() as tx:
            page = [model for model in tx.models.page(after, _MODELS_AT_ONCE) if model.name.startswith(within)]
