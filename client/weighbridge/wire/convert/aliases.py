"""Aliases, their moves, and promotions."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.core.digest import format_digest
from weighbridge.core.promotion import Promotion
from weighbridge.v1 import lifecycle_pb2, versions_pb2
from weighbridge.wire.convert.common import digest_value, time_message, time_value
from weighbridge.wire.convert.policies import verdict_message, verdict_value
from weighbridge.wire.convert.versions import stage_message, stage_value, version_message, version_value


def alias_message(alias: values.Alias) -> lifecycle_pb2.Alias:
    """An alias as a message."""
    return lifecycle_pb2.Alias(
        model=alias.model,
        alias=alias.alias,
        version=alias.version,
        ref=alias.ref,
        manifest_digest=format_digest(alias.manifest),
        revision=alias.revision,
        moved_time=time_message(alias.moved_time),
        actor=alias.actor,
        reason=alias.reason,
        previous_ref=alias.previous_ref,
    )


def alias_value(message: lifecycle_pb2.Alias) -> values.Alias:
    """A message as an alias. Raises: DataLoss, where its digest or its time is none."""
    return values.Alias(
        model=message.model,
        alias=message.alias,
        version=message.version,
        ref=message.ref,
        manifest=digest_value(message.manifest_digest, message.ref),
        revision=message.revision,
        moved_time=time_value(message.moved_time),
        actor=message.actor,
        reason=message.reason,
        previous_ref=message.previous_ref,
    )


def alias_move_message(move: values.AliasMove) -> lifecycle_pb2.AliasMove:
    """A move of an alias as a message."""
    return lifecycle_pb2.AliasMove(
        revision=move.revision,
        time=time_message(move.time),
        actor=move.actor,
        action=move.action,
        ref=move.ref,
        previous_ref=move.previous_ref,
        reason=move.reason,
    )


def alias_move_value(message: lifecycle_pb2.AliasMove) -> values.AliasMove:
    """A message as a move of an alias. Raises: DataLoss, where its time is none."""
    return values.AliasMove(
        revision=message.revision,
        time=time_value(message.time),
        actor=message.actor,
        action=message.action,
        ref=message.ref,
        previous_ref=message.previous_ref,
        reason=message.reason,
    )


def promotion_message(promotion: Promotion) -> lifecycle_pb2.Promotion:
    """A promotion as a message."""
    stage = promotion.displaced_stage
    return lifecycle_pb2.Promotion(
        version=version_message(promotion.version),
        displaced_ref=promotion.displaced_ref,
        displaced_stage=versions_pb2.STAGE_UNSPECIFIED if stage is None else stage_message(stage),
        revision=promotion.revision,
        verdict=None if promotion.verdict is None else verdict_message(promotion.verdict),
    )


def promotion_value(message: lifecycle_pb2.Promotion) -> Promotion:
    """A message as a promotion. Raises as ``version_value``."""
    stage = message.displaced_stage
    return Promotion(
        version=version_value(message.version),
        displaced_ref=message.displaced_ref,
        displaced_stage=None if stage == versions_pb2.STAGE_UNSPECIFIED else stage_value(stage, message.displaced_ref),
        revision=message.revision,
        verdict=verdict_value(message.verdict) if message.HasField("verdict") else None,
    )
