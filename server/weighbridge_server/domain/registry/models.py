"""Models: registering, describing, finding, deleting and restoring them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blake3 import blake3

from weighbridge.core.digest import format_digest
from weighbridge.core.errors import ModelDeleted, ModelExists, ModelInUse, ModelNotFound
from weighbridge.core.model_check import check_model_deletion, check_model_update, check_new_model
from weighbridge.core.refs import check_model_name
from weighbridge.core.values import Deletion, Model
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_key, page_token
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.holders import model_holders
from weighbridge_server.domain.registry.names import check_new_name
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.times import utc_text

_PAGE_BYTES = 1024 * 1024
"""A page of models with long texts ends early: one message carries it."""


class Models:
    """The names under which versions are numbered.

    Every change locks the model's row first and appends its event last (see ``Catalog``): changes of one model are
    one after the other, and what the journal says was before is what was.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(
        self,
        actor: str,
        request_id: str,
        name: str,
        owner: str,
        description: str,
        *,
        team: str = "",
        contact: str = "",
        card: str = "",
    ) -> Model:
        """Registers a model.

        Raises:
            InvalidName, InvalidRequest, ModelExists, RequestIdReused, ModelDeleted.
        """
        texts = {"owner": owner, "description": description, "team": team, "contact": contact, "card": card}
        check_new_model(name, texts)
        payload = {"call": "CreateModel", "name": name, **texts}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _add(tx, name, {**texts, "owner": owner or actor}))
            return existing_model(tx, name, whole=True)

    def update(self, actor: str, request_id: str, name: str, texts: Mapping[str, str]) -> Model:
        """Changes the texts that are given, and no other.

        Raises:
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, RequestIdReused.
        """
        check_model_update(name, texts)
        payload = {"call": "UpdateModel", "name": name, "texts": dict(texts)}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _update(tx, name, texts))
            return existing_model(tx, name, whole=True)

    def delete(self, actor: str, request_id: str, name: str, reason: str) -> Model:
        """Hides a model and its versions.

        Raises:
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, ModelInUse, RequestIdReused.
        """
        check_model_deletion(name, reason)
        payload = {"call": "DeleteModel", "name": name, "reason": reason}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _delete(tx, name, reason))
            return any_model(tx, name, whole=True)

    def restore(self, actor: str, request_id: str, name: str) -> Model:
        """Brings a deleted model back.

        Raises:
            InvalidName, ModelNotFound, ModelExists, RequestIdReused.
        """
        check_model_name(name)
        payload = {"call": "RestoreModel", "name": name}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _restore(tx, name))
            return any_model(tx, name, whole=True)

    def get(self, name: str) -> Model:
        """One model with its card. Raises: InvalidName, ModelNotFound, ModelDeleted."""
        check_model_name(name)
        with self._catalog.transaction() as tx:
            return existing_model(tx, name, whole=True)

    def list(
        self, page_size: int, token: str, *, show_deleted: bool = False, readable: Readable = None
    ) -> tuple[list[Model], str]:
        """One page of what the caller reads, in order of name, without cards; and the token of the next."""
        size = page_size or DEFAULT_SIZE
        with self._catalog.transaction() as tx:
            found = tx.models.page(page_key(token), size + 1, deleted=show_deleted, readable=readable)
        models = found[: _fitting(found[:size])]
        return models, page_token(models[-1].name) if len(found) > len(models) else ""


def existing_model(tx: Transaction, name: str, *, whole: bool = False, lock: bool = False) -> Model:
    """The model; see ``ModelRows.get``.

    Raises:
        ModelNotFound, ModelDeleted.
    """
    model = any_model(tx, name, whole=whole, lock=lock)
    if model.deletion is not None:
        raise ModelDeleted(_how_deleted(name, model.deletion), details=_deletion_details(name, model.deletion))
    return model


def any_model(tx: Transaction, name: str, *, whole: bool = False, lock: bool = False) -> Model:
    """The model, deleted or not. Raises: ModelNotFound; InvalidName, where there cannot be one."""
    model = tx.models.get(name, whole=whole, lock=lock)
    if model is None:
        check_new_name(tx, name)
        raise ModelNotFound(
            f"there is no model {name}; 'weighbridge models' lists them, and a push creates one",
            details={"model": name},
        )
    return model


def _add(tx: Transaction, name: str, texts: Mapping[str, str]) -> str:
    check_new_name(tx, name)
    if not tx.models.add(name, **texts):
        taken = any_model(tx, name)
        if taken.deletion is not None:
            raise ModelExists(
                f"the name is taken: {_how_deleted(name, taken.deletion)}",
                details=_deletion_details(name, taken.deletion),
            )
        raise ModelExists(f"model {name} exists already", details={"model": name})
    tx.record(Change("model.created", name, "", _state(any_model(tx, name, whole=True))))
    return name


def _update(tx: Transaction, name: str, texts: Mapping[str, str]) -> str:
    before = existing_model(tx, name, whole=True, lock=True)
    changed = {field: text for field, text in texts.items() if getattr(before, field) != text}
    if changed:
        tx.models.update(name, changed)
        tx.record(Change("model.updated", name, _state(before), _state(any_model(tx, name, whole=True))))
    return name


def _delete(tx: Transaction, name: str, reason: str) -> str:
    before = existing_model(tx, name, whole=True, lock=True)
    holders = model_holders(tx, name)
    if holders:
        raise ModelInUse(
            f"model {name} is in use and cannot be deleted; let what is listed end, or end it",
            violations=holders,
            details={"model": name},
        )
    tx.models.delete(name, reason)
    tx.record(Change("model.deleted", name, _state(before), _state(any_model(tx, name, whole=True))))
    return name


def _restore(tx: Transaction, name: str) -> str:
    before = any_model(tx, name, whole=True, lock=True)
    if before.deletion is None:
        raise ModelExists(f"model {name} is not deleted", details={"model": name})
    tx.models.restore(name)
    tx.record(Change("model.restored", name, _state(before), _state(any_model(tx, name, whole=True))))
    return name


def _state(model: Model) -> str:
    """What the journal says of a model. It keeps everything forever, so that a card is there as its digest."""
    card = (model.card or "").encode()
    state: dict[str, Any] = {
        "name": model.name,
        "owner": model.owner,
        "team": model.team,
        "contact": model.contact,
        "description": model.description,
        "card_bytes": len(card),
        "card_digest": format_digest(blake3(card).digest()),
    }
    if model.deletion is not None:
        state["deletion"] = {"actor": model.deletion.actor, "reason": model.deletion.reason}
    return canonical_json(state)


def _how_deleted(name: str, deletion: Deletion) -> str:
    # The reason last: it is long at times, and a status has room for so much.
    return (
        f"model {name} was deleted at {utc_text(deletion.time)} by {deletion.actor}; "
        f"'weighbridge model restore {name}' brings it back. The reason given: {deletion.reason}"
    )


def _deletion_details(name: str, deletion: Deletion) -> dict[str, str]:
    return {
        "model": name,
        "deleted_time": utc_text(deletion.time),
        "deleted_by": deletion.actor,
        "deletion_reason": deletion.reason,
    }


def _fitting(models: Sequence[Model]) -> int:
    """How many of these one message carries; at least one."""
    size_bytes = 0
    for place, model in enumerate(models):
        reason = model.deletion.reason if model.deletion is not None else ""
        texts = (model.name, model.creator, model.owner, model.team, model.contact, model.description, reason)
        size_bytes += sum(len(text.encode()) for text in texts)
        if place and size_bytes > _PAGE_BYTES:
            return place
    return len(models)
