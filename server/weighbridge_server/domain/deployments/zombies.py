"""Zombies: what runs and should not, and what runs and says nothing of itself."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.deployments import DEFAULT_GRACE_S, Zombie, ZombieReason, Zombies
from weighbridge.core.refs import check_model_name
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.deployments.ports import Running
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.models import any_model
from weighbridge_server.domain.times import utc_text

_MOST = 10_000
_WORST_FIRST = list(ZombieReason)


class ZombieSearch:
    """Judges every deployment by where things stand now."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, model: str, grace_s: int | None, readable: Readable = None) -> Zombies:
        """Those of a model, or all that the caller reads.

        ``grace_s``: how long a node may be behind its alias; None: 300 s.

        Raises:
            InvalidName, ModelNotFound.
        """
        grace = DEFAULT_GRACE_S if grace_s is None else grace_s
        with self._catalog.transaction() as tx:
            if model:
                any_model(tx, check_model_name(model))
            running = tx.deployments.running(model, _MOST, readable)
        zombies = [zombie for each in running if (zombie := judged(each, grace)) is not None]
        zombies.sort(key=lambda zombie: _WORST_FIRST.index(zombie.reasons[0]))
        return Zombies(zombies, [warning for each in running if (warning := undocumented(each)) is not None])


def judged(running: Running, grace_s: int) -> Zombie | None:
    """The zombie that a deployment is, with everything that is wrong with it."""
    found = list(_wrong(running, grace_s))
    if not found:
        return None
    return Zombie(running.deployment, [reason for reason, _ in found], "; ".join(said for _, said in found))


def undocumented(running: Running) -> Zombie | None:
    """The warning that a deployment is worth: nobody can tell what it runs, or how good that is."""
    if not running.deployment.ref or (running.described and running.measured):
        return None
    lacking = [what for what, there in (("description", running.described), ("metrics", running.measured)) if not there]
    message = f"{running.deployment.ref} has no {' and no '.join(lacking)}"
    return Zombie(running.deployment, [ZombieReason.UNDOCUMENTED], message)


def _wrong(running: Running, grace_s: int) -> Iterator[tuple[ZombieReason, str]]:
    """Everything that is wrong, the worst first."""
    deployment = running.deployment
    if not deployment.ref:
        yield ZombieReason.UNREGISTERED, "no version has this digest; push it, or stop the node"
    if running.deleted:
        yield ZombieReason.DELETED, f"{deployment.ref} was deleted; restore it, or move the node off it"
    elif deployment.stage == "archived":
        yield ZombieReason.ARCHIVED, f"{deployment.ref} is archived; move the node to what {deployment.alias} points at"
    if running.behind_since is not None and running.behind_s > grace_s:
        where = f"points at {running.alias_ref}" if running.alias_ref else "points nowhere"
        yield (
            ZombieReason.BEHIND,
            f"@{deployment.alias} {where}, and this has run on since {utc_text(running.behind_since)}",
        )
    if not deployment.live:
        yield (
            ZombieReason.SILENT,
            f"nothing was heard of it since {utc_text(deployment.reported_time)}, though it reports every "
            f"{deployment.ttl_s} s; look whether it runs, and retire it if it does not",
        )
