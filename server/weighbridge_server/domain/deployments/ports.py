"""What deployments need of storage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.deployments import Deployment
from weighbridge.core.digest import Digest
from weighbridge.core.values import Version


@dataclass(frozen=True)
class Running:
    """A deployment that did not retire, and what it is judged by. All times are the database's."""

    deployment: Deployment
    deleted: bool
    """The version, or its model, was deleted."""
    alias_ref: str
    """Where the alias that it follows points, as ``name:number``; empty: nowhere."""
    behind_since: datetime | None
    """Since when the alias points at other content while this runs; None: it does not, or there never was such an
    alias."""
    behind_s: float
    described: bool
    """The version has a description."""
    measured: bool
    """The version has metrics."""


class DeploymentRows(Protocol):
    """Deployments, by node and model; the model is empty where what runs is not registered."""

    def renew(self, node: str, model: str, number: int, alias: str, ttl_s: int) -> bool:
        """Notes that a node still runs a version; False where it ran something else until now, or nothing."""
        ...

    def get(self, node: str, model: str) -> Deployment | None:
        """One that did not retire."""
        ...

    def put(self, node: str, version: Version | None, manifest: Digest, alias: str, ttl_s: int) -> None:
        """Notes what a node runs now, reported by the transaction's actor."""
        ...

    def retire(self, node: str, model: str) -> None: ...

    def models(self, node: str) -> list[str]:
        """What a node runs, in order of name."""
        ...

    def page(
        self,
        model: str,
        ref: tuple[str, int] | None,
        *,
        live: bool,
        after: Sequence[str],
        size: int,
        readable: Collection[str] | None = None,
    ) -> list[Deployment]:
        """In order of model and node, from the first after ``after``; of a model or version where one is given.

        ``readable``, here and below: only of models whose names are below one of these prefixes; None: of all, and of
        what is not registered.
        """
        ...

    def running(self, model: str, most: int, readable: Collection[str] | None) -> list[Running]:
        """All that did not retire, or those of a model, the one that reported longest ago first."""
        ...

    def registered(self, manifest: Digest, alias: str, readable: Collection[str] | None) -> tuple[str, int] | None:
        """A version with this manifest: one that is not deleted before one that is, then one that the alias points
        at, then the newest."""
        ...
