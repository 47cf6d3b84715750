"""Deployments: saying what a node runs, and finding what should not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.deployment_check import check_node, check_report
from weighbridge.core.deployments import DEFAULT_ALIAS, DEFAULT_TTL_S, Deployment, Zombies
from weighbridge.core.digest import format_digest, parse_digest
from weighbridge.core.errors import UsageError
from weighbridge.core.refs import check_model_name, parse_ref
from weighbridge.v1 import deployments_pb2
from weighbridge.wire import convert


class DeploymentCalls(Connected):
    """See ``Client``."""

    def report_deployment(
        self,
        *,
        node: str,
        ref: str = "",
        digest: str = "",
        alias: str = DEFAULT_ALIAS,
        ttl_s: int = DEFAULT_TTL_S,
    ) -> Deployment:
        """Says that a node runs a version, for ``ttl_s`` from now; call it again before that.

        Args:
            node: the node's name, at most 256 bytes.
            ref: what it runs; ``name:7`` rather than a reference that may move.
            digest: in place of ``ref``, the manifest digest of what it runs, ``b3:<hex>``. One that no version has is
                taken too, and is found as a zombie.
            alias: what it follows. A node that stays on another version than its alias is a zombie.
            ttl_s: seconds, at most 86,400.

        Raises:
            UsageError: neither ``ref`` nor ``digest`` is given, or both are.
            InvalidRequest, InvalidReference, InvalidName, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        if bool(ref) == bool(digest):
            raise UsageError("report_deployment takes ref or digest, one of them: what the node runs")
        check_report(node, alias, ttl_s)
        if ref:
            parse_ref(ref)
            runs = {"ref": ref}
        else:
            runs = {"manifest_digest": format_digest(parse_digest(digest))}
        request = deployments_pb2.ReportDeploymentRequest(node=node, alias=alias, ttl_s=ttl_s, **runs)
        return convert.deployment_value(self._connection.call(self._connection.deployments.ReportDeployment, request))

    def retire_deployment(self, *, node: str, model: str = "") -> int:
        """Says that a node runs a model no more, or nothing at all; how many deployments that ended.

        Raises:
            InvalidRequest, InvalidName.
        """
        check_node(node)
        if model:
            check_model_name(model)
        request = deployments_pb2.RetireDeploymentRequest(node=node, model=model)
        return self._connection.call(self._connection.deployments.RetireDeployment, request).retired

    def deployments(self, model: str = "", *, ref: str = "", live: bool = False) -> Iterator[Deployment]:
        """What runs, in order of model and node.

        Args:
            model: only of this model.
            ref: only of the version that this stands for.
            live: only what reported within its time.

        Raises:
            InvalidName, InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        if model:
            check_model_name(model)
        if ref:
            parse_ref(ref)

        def page(token: str) -> tuple[Sequence[deployments_pb2.Deployment], str]:
            request = deployments_pb2.ListDeploymentsRequest(
                model=model, ref=ref, live_only=live, page_size=PAGE_SIZE, page_token=token
            )
            answer = self._connection.call(self._connection.deployments.ListDeployments, request)
            return answer.deployments, answer.next_page_token

        return map(convert.deployment_value, self._pages("deployments", page))

    def zombies(self, model: str = "", *, grace_s: int | None = None) -> Zombies:
        """What runs and should not: unregistered, deleted, archived, behind its alias, or gone silent.

        Args:
            model: only of this model.
            grace_s: seconds that a node may be behind its alias; by default 300.

        Raises:
            InvalidName, ModelNotFound.
        """
        if model:
            check_model_name(model)
        if grace_s is not None and not 0 <= grace_s < 2**32:
            raise UsageError(f"grace_s is {grace_s}; it is a number of seconds from 0")
        request = deployments_pb2.FindZombiesRequest(model=model, grace_s=grace_s)
        return convert.zombies_value(self._connection.call(self._connection.deployments.FindZombies, request))
