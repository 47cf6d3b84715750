"""Aliases, stages and rollback: which version a name stands for, and where it pointed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.alias_check import check_alias_change, check_promotion, check_rollback
from weighbridge.core.errors import UsageError
from weighbridge.core.promotion import Promotion
from weighbridge.core.refs import check_model_name, parse_alias, parse_ref
from weighbridge.core.values import Alias, AliasMove, Stage
from weighbridge.v1 import lifecycle_pb2
from weighbridge.wire import convert


class AliasCalls(Connected):
    """See ``Client``."""

    def set_alias(
        self, model: str, alias: str, version: int, *, expected_revision: int | None = None, reason: str = ""
    ) -> Alias:
        """Points an alias at a version, or makes it; nothing happens where it points there already.

        Args:
            model: the model's name.
            alias: lowercase letters, digits and hyphens, without ``@``. ``staging`` and ``production`` are moved by
                ``promote`` and ``rollback`` only.
            version: the version's number.
            expected_revision: refused unless this is the alias's revision; 0: unless there is none of that name.
            reason: why, at most 1024 characters; its history keeps it.

        Raises:
            RevisionConflict: it moved first; ``details`` say its ``revision`` and, as ``value``, where it points.
            PolicyRefused, ApprovalNeeded: as ``promote``, where a policy protects the alias.
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, ModelNotFound, ModelDeleted,
            VersionNotFound, VersionDeleted.
        """
        check_alias_change(model, alias, reason, expected_revision, version=version)
        request = lifecycle_pb2.SetAliasRequest(
            request_id=uuid.uuid4().hex,
            model=model,
            alias=alias,
            version=version,
            expected_revision=expected_revision,
            reason=reason,
        )
        return convert.alias_value(self._connection.call(self._connection.lifecycle.SetAlias, request))

    def delete_alias(self, model: str, alias: str, *, expected_revision: int | None = None, reason: str = "") -> None:
        """Removes an alias; its history stays. Takes what ``set_alias`` takes.

        Raises:
            AliasNotFound, RevisionConflict, InvalidName, InvalidReference, InvalidRequest, ModelNotFound,
            ModelDeleted.
        """
        check_alias_change(model, alias, reason, expected_revision)
        request = lifecycle_pb2.DeleteAliasRequest(
            request_id=uuid.uuid4().hex,
            model=model,
            alias=alias,
            expected_revision=expected_revision,
            reason=reason,
        )
        self._connection.call(self._connection.lifecycle.DeleteAlias, request)

    def aliases(self, model: str) -> list[Alias]:
        """The aliases of a model in order of name, ``staging`` and ``production`` where a version holds them.

        Raises:
            InvalidName, ModelNotFound, ModelDeleted.
        """
        request = lifecycle_pb2.ListAliasesRequest(model=check_model_name(model))
        answer = self._connection.call(self._connection.lifecycle.ListAliases, request)
        return [convert.alias_value(alias) for alias in answer.aliases]

    def alias_history(self, alias: str, *, at: datetime | None = None) -> Iterator[AliasMove]:
        """Every move of an alias, the newest first.

        Args:
            alias: ``name@alias``; it may have been removed since.
            at: only the move that was the last at this time, if there was one: its ``ref`` is where the alias pointed.
                A time without a zone is local.

        Raises:
            UsageError: the time is beyond the years 1 to 9999 in UTC.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, AliasNotFound (there never was one).
        """
        model, name = parse_alias(alias)
        request = lifecycle_pb2.GetAliasHistoryRequest(model=model, alias=name, page_size=PAGE_SIZE)
        if at is not None:
            try:
                request.at_time.CopyFrom(convert.time_message(at))
            except (ValueError, OverflowError) as fault:
                raise UsageError("a time is beyond the years 1 to 9999") from fault

        def page(token: str) -> tuple[Sequence[lifecycle_pb2.AliasMove], str]:
            request.page_token = token
            answer = self._connection.call(self._connection.lifecycle.GetAliasHistory, request)
            return answer.moves, answer.next_page_token

        return map(convert.alias_move_value, self._pages("moves", page))

    def promote(
        self,
        ref: str,
        stage: Stage | str,
        *,
        reason: str = "",
        dry_run: bool = False,
        expected_revision: int | None = None,
    ) -> Promotion:
        """Moves a version to a stage, and whom it displaces there out of it, at once.

        Allowed are development → staging → production → archived, and back: staging → development, development →
        archived, archived → development. What enters staging displaces its holder to development, what enters
        production to archived. Where a policy governs the stage, its rules and approvals decide.

        Args:
            ref: any reference.
            stage: ``development``, ``staging``, ``production`` or ``archived``.
            reason: why, at most 1024 characters.
            dry_run: say what would happen and change nothing. What the policy says is then in the ``verdict``, and
                raises nothing.
            expected_revision: of staging and production: refused unless this is the revision of the stage's pointer;
                0: unless nothing holds the stage.

        Raises:
            WrongState: the move is not allowed; the message and ``details["allowed"]`` list those that are.
            PolicyRefused: rules of the policy fail; one violation each, with the values that it saw.
            ApprovalNeeded: all rules pass and approvals lack, which have been asked for; promote again when they are
                given.
            RevisionConflict: the pointer moved first; ``details`` say its ``revision`` and, as ``value``, where it
                points.
            UsageError: there is no such stage.
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound.
        """
        wanted = _stage(stage)
        parse_ref(ref)
        check_promotion(wanted, reason, expected_revision)
        request = lifecycle_pb2.PromoteRequest(
            request_id=uuid.uuid4().hex,
            ref=ref,
            stage=convert.stage_message(wanted),
            reason=reason,
            dry_run=dry_run,
            expected_revision=expected_revision,
        )
        return convert.promotion_value(self._connection.call(self._connection.lifecycle.Promote, request))

    def rollback(
        self, alias: str, *, reason: str, to: int | None = None, expected_revision: int | None = None
    ) -> Alias:
        """Gives an alias back to the last version that held it and was not itself rolled back from.

        A second call goes further back. What is left goes from production to archived, from staging to development.

        Args:
            alias: ``name@alias``, such as ``fraud.tabular.transformer@production``.
            reason: why, at most 1024 characters; its history keeps it.
            to: the number of a version that held it before, instead of the last.
            expected_revision: refused unless this is the alias's revision.

        Raises:
            WrongState: nothing held it before, or ``to`` never did or does now; or the version was deleted or has
                damaged chunks: the violations list what is in the way.
            RevisionConflict: it moved first; ``details`` say its ``revision`` and, as ``value``, where it points.
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, AliasNotFound (there never
            was one).
        """
        model, name = parse_alias(alias)
        check_rollback(model, name, reason, to, expected_revision)
        request = lifecycle_pb2.RollbackRequest(
            request_id=uuid.uuid4().hex,
            model=model,
            alias=name,
            to_version=to or 0,
            reason=reason,
            expected_revision=expected_revision,
        )
        return convert.alias_value(self._connection.call(self._connection.lifecycle.Rollback, request))


def _stage(text: Stage | str) -> Stage:
    try:
        return Stage(text)
    except ValueError as fault:
        raise UsageError(f"{text!r} is not a stage; there are {', '.join(Stage)}") from fault
