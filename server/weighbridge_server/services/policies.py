"""The methods of ``LifecycleService`` that set policies and judge versions by them."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from weighbridge.v1 import policies_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.policy.policies import Policies
from weighbridge_server.services.actor import caller_of


class PolicyMethods:
    """See ``lifecycle.proto``. A part of ``LifecycleServicer``."""

    _policies: Policies

    def SetPolicy(self, request: policies_pb2.SetPolicyRequest, context: grpc.ServicerContext) -> policies_pb2.Policy:
        policy = self._policies.set(
            caller_of(context),
            request.request_id,
            request.prefix,
            request.target,
            convert.terms_value(request),
            request.expected_revision if request.HasField("expected_revision") else None,
        )
        return convert.policy_message(policy)

    def GetPolicy(self, request: policies_pb2.GetPolicyRequest, context: grpc.ServicerContext) -> policies_pb2.Policy:
        revision = request.revision if request.HasField("revision") else None
        return convert.policy_message(self._policies.get(request.name, request.target, revision))

    def ListPolicies(
        self, request: policies_pb2.ListPoliciesRequest, context: grpc.ServicerContext
    ) -> policies_pb2.ListPoliciesResponse:
        found = self._policies.list(request.name, caller_of(context).readable)
        return policies_pb2.ListPoliciesResponse(policies=map(convert.policy_message, found))

    def CheckPolicy(
        self, request: policies_pb2.CheckPolicyRequest, context: grpc.ServicerContext
    ) -> Iterator[policies_pb2.CheckedByPolicy]:
        terms = convert.terms_value(request.policy) if request.HasField("policy") else None
        for checked in self._policies.check(request.versions, request.target, terms):
            yield convert.checked_by_policy_message(checked)
