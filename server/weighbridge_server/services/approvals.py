"""The methods of ``LifecycleService`` that ask for approvals and give them."""

from __future__ import annotations

import grpc

from weighbridge.v1 import policies_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.policy.approvals import Approvals
from weighbridge_server.services.actor import caller_of


class ApprovalMethods:
    """See ``lifecycle.proto``. A part of ``LifecycleServicer``."""

    _approvals: Approvals

    def RequestApproval(
        self, request: policies_pb2.RequestApprovalRequest, context: grpc.ServicerContext
    ) -> policies_pb2.ApprovalRequest:
        asked = self._approvals.request(
            caller_of(context), request.request_id, request.ref, request.target, request.comment
        )
        return convert.approval_request_message(asked)

    def Approve(
        self, request: policies_pb2.ApproveRequest, context: grpc.ServicerContext
    ) -> policies_pb2.ApprovalRequest:
        approved = self._approvals.approve(
            caller_of(context),
            request.request_id,
            request.ref,
            request.target,
            request.comment,
            request.record_digest,
        )
        return convert.approval_request_message(approved)

    def Reject(
        self, request: policies_pb2.RejectRequest, context: grpc.ServicerContext
    ) -> policies_pb2.ApprovalRequest:
        rejected = self._approvals.reject(
            caller_of(context), request.request_id, request.ref, request.target, request.comment
        )
        return convert.approval_request_message(rejected)

    def ListApprovalRequests(
        self, request: policies_pb2.ListApprovalRequestsRequest, context: grpc.ServicerContext
    ) -> policies_pb2.ListApprovalRequestsResponse:
        found, token = self._approvals.list(
            caller_of(context),
            request.model,
            request.page_size,
            request.page_token,
            waiting_for_me=request.waiting_for_me,
            closed=request.show_closed,
        )
        return policies_pb2.ListApprovalRequestsResponse(
            requests=map(convert.approval_request_message, found), next_page_token=token
        )
