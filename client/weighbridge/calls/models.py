"""Models: registering, describing, finding, deleting and restoring them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.model_check import check_model_deletion, check_model_update, check_new_model
from weighbridge.core.refs import check_model_name
from weighbridge.core.values import Model
from weighbridge.v1 import models_pb2
from weighbridge.wire import convert


class ModelCalls(Connected):
    """See ``Client``."""

    def create_model(
        self,
        name: str,
        *,
        owner: str = "",
        team: str = "",
        contact: str = "",
        description: str = "",
        card: str = "",
    ) -> Model:
        """Registers a model. A push does this by itself.

        Args:
            name: ``project.task.architecture``, or what the schema of its prefix has names be instead.
            owner: the person or service that answers for it, by default the caller; at most 256 characters.
            team: the group that the owner works in; as long.
            contact: where to ask about it; as long.
            description: what it is for, in a sentence; at most 4 KiB.
            card: its card, in Markdown; at most 64 KiB.

        Raises:
            InvalidName, InvalidRequest, ModelExists (of a deleted model too, and says how to restore it).
        """
        texts = {"owner": owner, "team": team, "contact": contact, "description": description, "card": card}
        check_new_model(name, texts)
        request = models_pb2.CreateModelRequest(request_id=uuid.uuid4().hex, name=name, **texts)
        return convert.model_value(self._connection.call(self._connection.models.CreateModel, request))

    def model(self, name: str) -> Model:
        """One model, with its card. Raises: InvalidName, ModelNotFound, ModelDeleted."""
        request = models_pb2.GetModelRequest(name=check_model_name(name))
        return convert.model_value(self._connection.call(self._connection.models.GetModel, request))

    def models(self, *, deleted: bool = False) -> Iterator[Model]:
        """All models in order of name, without their cards; with ``deleted`` those that are deleted instead."""

        def page(token: str) -> tuple[Sequence[models_pb2.Model], str]:
            request = models_pb2.ListModelsRequest(page_size=PAGE_SIZE, page_token=token, show_deleted=deleted)
            answer = self._connection.call(self._connection.models.ListModels, request)
            return answer.models, answer.next_page_token

        models = map(convert.model_value, self._pages("models", page))
        return (model for model in models if (model.deletion is not None) is deleted)

    def update_model(
        self,
        name: str,
        *,
        owner: str | None = None,
        team: str | None = None,
        contact: str | None = None,
        description: str | None = None,
        card: str | None = None,
    ) -> Model:
        """Changes what is said of a model: what is given, and nothing else. Returns the model as it is then.

        The texts are those of ``create_model``; an empty one clears what was there, but for the owner.

        Raises:
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted.
        """
        given = {"owner": owner, "team": team, "contact": contact, "description": description, "card": card}
        texts = {field: text for field, text in given.items() if text is not None}
        check_model_update(name, texts)
        request = models_pb2.UpdateModelRequest(request_id=uuid.uuid4().hex, name=name, **texts)
        return convert.model_value(self._connection.call(self._connection.models.UpdateModel, request))

    def delete_model(self, name: str, *, reason: str) -> Model:
        """Hides a model and its versions until ``restore_model``; nothing of them is removed.

        Args:
            name: the model.
            reason: why, at most 1024 characters; whoever looks for the model is told.

        Raises:
            ModelInUse: a stage, an alias, a version of another model that was made from it, an open upload or a live
                node holds it; one violation each.
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted.
        """
        check_model_deletion(name, reason)
        request = models_pb2.DeleteModelRequest(request_id=uuid.uuid4().hex, name=name, reason=reason)
        return convert.model_value(self._connection.call(self._connection.models.DeleteModel, request))

    def restore_model(self, name: str) -> Model:
        """Brings a deleted model back as it was, with its versions.

        Raises:
            InvalidName, ModelNotFound, ModelExists (it is not deleted).
        """
        request = models_pb2.RestoreModelRequest(request_id=uuid.uuid4().hex, name=check_model_name(name))
        return convert.model_value(self._connection.call(self._connection.models.RestoreModel, request))
