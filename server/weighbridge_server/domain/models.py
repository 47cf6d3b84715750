"""Registering and finding models."""

from __future__ import annotations

from weighbridge.core.errors import InvalidRequest, ModelExists, ModelNotFound, Violation
from weighbridge.core.refs import check_model_name
from weighbridge.core.values import Model
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_key, page_token
from weighbridge_server.domain.ports import Catalog, Change, Transaction
from weighbridge_server.domain.requests import once


class Models:
    """The names under which versions are numbered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(self, actor: str, request_id: str, name: str, owner: str, description: str) -> Model:
        """Registers a model.

        Raises:
            InvalidName, InvalidRequest, ModelExists, RequestIdReused.
        """
        check_model_name(name)
        wrong = [
            Violation(field, "contains a NUL character")
            for field, text in (("owner", owner), ("description", description))
            if "\0" in text
        ]
        if wrong:
            raise InvalidRequest("the model cannot be registered", violations=wrong)
        payload = {"call": "CreateModel", "name": name, "owner": owner, "description": description}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: self._add(tx, name, owner or actor, description))
            return existing_model(tx, name)

    def _add(self, tx: Transaction, name: str, owner: str, description: str) -> str:
        if not tx.models.add(name, owner, description):
            raise ModelExists(f"model {name} exists already", details={"model": name})
        after = canonical_json({"name": name, "owner": owner, "description": description})
        tx.record(Change("model.created", name, "", after))
        return name

    def get(self, name: str) -> Model:
        """Raises: InvalidName, ModelNotFound."""
        check_model_name(name)
        with self._catalog.transaction() as tx:
            return existing_model(tx, name)

    def list(self, page_size: int, token: str) -> tuple[list[Model], str]:
        """One page in order of name, and the token of the next (empty: none)."""
        size = page_size or DEFAULT_SIZE
        with self._catalog.transaction() as tx:
            models = tx.models.page(page_key(token), size + 1)
        return models[:size], page_token(models[size - 1].name) if len(models) > size else ""


def existing_model(tx: Transaction, name: str, *, lock: bool = False) -> Model:
    """The model, or ModelNotFound."""
    model = tx.models.lock(name) if lock else tx.models.get(name)
    if model is None:
        raise ModelNotFound(
            f"there is no model {name}; 'weighbridge models' lists them, and a push creates one",
            details={"model": name},
        )
    return model
