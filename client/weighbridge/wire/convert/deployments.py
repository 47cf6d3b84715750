"""Deployments."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core.deployments import Deployment, Zombie, ZombieReason, Zombies
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import Unimplemented
from weighbridge.v1 import deployments_pb2, versions_pb2
from weighbridge.wire.convert.common import digest_value, time_message, time_value
from weighbridge.wire.convert.versions import stage_message, stage_value

_REASONS: Mapping[ZombieReason, deployments_pb2.ZombieReason.ValueType] = {
    ZombieReason.UNREGISTERED: deployments_pb2.ZOMBIE_REASON_UNREGISTERED,
    ZombieReason.DELETED: deployments_pb2.ZOMBIE_REASON_DELETED,
    ZombieReason.ARCHIVED: deployments_pb2.ZOMBIE_REASON_ARCHIVED,
    ZombieReason.BEHIND: deployments_pb2.ZOMBIE_REASON_BEHIND,
    ZombieReason.SILENT: deployments_pb2.ZOMBIE_REASON_SILENT,
    ZombieReason.UNDOCUMENTED: deployments_pb2.ZOMBIE_REASON_UNDOCUMENTED,
}
_REASONS_BACK = {number: reason for reason, number in _REASONS.items()}


def deployment_message(deployment: Deployment) -> deployments_pb2.Deployment:
    """A deployment as a message."""
    return deployments_pb2.Deployment(
        node=deployment.node,
        model=deployment.model,
        ref=deployment.ref,
        manifest_digest=format_digest(deployment.manifest),
        alias=deployment.alias,
        stage=versions_pb2.STAGE_UNSPECIFIED if deployment.stage is None else stage_message(deployment.stage),
        actor=deployment.actor,
        since_time=time_message(deployment.since_time),
        reported_time=time_message(deployment.reported_time),
        ttl_s=deployment.ttl_s,
        live=deployment.live,
    )


def deployment_value(message: deployments_pb2.Deployment) -> Deployment:
    """A message as a deployment. Raises: DataLoss, where its digest or a time is none."""
    return Deployment(
        node=message.node,
        model=message.model,
        ref=message.ref,
        manifest=digest_value(message.manifest_digest, message.node),
        alias=message.alias,
        stage=stage_value(message.stage, message.ref) if message.stage else None,
        actor=message.actor,
        since_time=time_value(message.since_time),
        reported_time=time_value(message.reported_time),
        ttl_s=message.ttl_s,
        live=message.live,
    )


_ZOMBIES_BYTES = 3 * 1024 * 1024
_FRAME_BYTES = 8
"""What fits into a message, and what stands around each of its parts at most."""


def zombies_message(found: Zombies) -> deployments_pb2.FindZombiesResponse:
    """Zombies and warnings as a message."""
    message = deployments_pb2.FindZombiesResponse(left_out=found.left_out)
    room = _ZOMBIES_BYTES
    for zombies, said in ((found.zombies, message.zombies), (found.undocumented, message.undocumented)):
        for zombie in zombies:
            one = _zombie_message(zombie)
            room -= one.ByteSize() + _FRAME_BYTES
            if room < 0:
                message.left_out += 1
            else:
                said.append(one)
    return message


def zombies_value(message: deployments_pb2.FindZombiesResponse) -> Zombies:
    """A message as zombies and warnings."""
    return Zombies(
        tuple(map(_zombie_value, message.zombies)),
        tuple(map(_zombie_value, message.undocumented)),
        message.left_out,
    )


def _zombie_message(zombie: Zombie) -> deployments_pb2.Zombie:
    return deployments_pb2.Zombie(
        deployment=deployment_message(zombie.deployment),
        reasons=[_REASONS[reason] for reason in zombie.reasons],
        message=zombie.message,
    )


def _zombie_value(message: deployments_pb2.Zombie) -> Zombie:
    return Zombie(deployment_value(message.deployment), tuple(map(_reason, message.reasons)), message.message)


def _reason(number: deployments_pb2.ZombieReason.ValueType) -> ZombieReason:
    if number not in _REASONS_BACK:
        raise Unimplemented(f"reason {number} of a zombie is not known to this release; install a later one")
    return _REASONS_BACK[number]
