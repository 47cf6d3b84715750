"""``DeploymentService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.v1 import deployments_pb2, deployments_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.deployments.deployments import Deployments
from weighbridge_server.domain.deployments.zombies import ZombieSearch
from weighbridge_server.services.actor import caller_of


class DeploymentServicer(deployments_pb2_grpc.DeploymentServiceServicer):
    """See ``deployments.proto``."""

    def __init__(self, deployments: Deployments, zombies: ZombieSearch) -> None:
        self._deployments = deployments
        self._zombies = zombies

    def ReportDeployment(
        self, request: deployments_pb2.ReportDeploymentRequest, context: grpc.ServicerContext
    ) -> deployments_pb2.Deployment:
        deployment = self._deployments.report(
            caller_of(context), request.node, request.ref, request.manifest_digest, request.alias, request.ttl_s
        )
        return convert.deployment_message(deployment)

    def RetireDeployment(
        self, request: deployments_pb2.RetireDeploymentRequest, context: grpc.ServicerContext
    ) -> deployments_pb2.RetireDeploymentResponse:
        retired = self._deployments.retire(caller_of(context), request.node, request.model)
        return deployments_pb2.RetireDeploymentResponse(retired=retired)

    def ListDeployments(
        self, request: deployments_pb2.ListDeploymentsRequest, context: grpc.ServicerContext
    ) -> deployments_pb2.ListDeploymentsResponse:
        deployments, token = self._deployments.list(
            request.model,
            request.ref,
            request.live_only,
            request.page_size,
            request.page_token,
            caller_of(context).readable,
        )
        return deployments_pb2.ListDeploymentsResponse(
            deployments=map(convert.deployment_message, deployments), next_page_token=token
        )

    def FindZombies(
        self, request: deployments_pb2.FindZombiesRequest, context: grpc.ServicerContext
    ) -> deployments_pb2.FindZombiesResponse:
        grace_s = request.grace_s if request.HasField("grace_s") else None
        return convert.zombies_message(self._zombies.find(request.model, grace_s, caller_of(context).readable))
