"""``AdminService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.core.errors import WrongState
from weighbridge.core.principals import Identity
from weighbridge.core.values import Grant
from weighbridge.v1 import admin_pb2, admin_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.access.principals import Principals
from weighbridge_server.services.actor import actor_of, authenticated_of


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """See ``admin.proto``."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

    def CreatePrincipal(
        self, request: admin_pb2.CreatePrincipalRequest, context: grpc.ServicerContext
    ) -> admin_pb2.Principal:
        actor, kind = _administrator(context), convert.kind_value(request.kind)
        principal = self._principals.create(actor, request.request_id, request.name, kind, request.description)
        return convert.principal_message(principal)

    def ListPrincipals(
        self, request: admin_pb2.ListPrincipalsRequest, context: grpc.ServicerContext
    ) -> admin_pb2.ListPrincipalsResponse:
        _administrator(context)
        principals, token = self._principals.list(request.page_size, request.page_token)
        return admin_pb2.ListPrincipalsResponse(
            principals=map(convert.principal_message, principals), next_page_token=token
        )

    def DisablePrincipal(
        self, request: admin_pb2.DisablePrincipalRequest, context: grpc.ServicerContext
    ) -> admin_pb2.Principal:
        principal = self._principals.disable(_administrator(context), request.request_id, request.name)
        return convert.principal_message(principal)

    def EnablePrincipal(
        self, request: admin_pb2.EnablePrincipalRequest, context: grpc.ServicerContext
    ) -> admin_pb2.Principal:
        principal = self._principals.enable(_administrator(context), request.request_id, request.name)
        return convert.principal_message(principal)

    def CreateToken(
        self, request: admin_pb2.CreateTokenRequest, context: grpc.ServicerContext
    ) -> admin_pb2.CreateTokenResponse:
        ttl_s = request.ttl_s if request.HasField("ttl_s") else None
        new = self._principals.create_token(
            _administrator(context), request.request_id, request.principal, request.description, ttl_s
        )
        return convert.new_token_message(new)

    def ListTokens(
        self, request: admin_pb2.ListTokensRequest, context: grpc.ServicerContext
    ) -> admin_pb2.ListTokensResponse:
        _administrator(context)
        tokens, token = self._principals.tokens(request.principal, request.page_size, request.page_token)
        return admin_pb2.ListTokensResponse(tokens=map(convert.token_message, tokens), next_page_token=token)

    def RevokeToken(self, request: admin_pb2.RevokeTokenRequest, context: grpc.ServicerContext) -> admin_pb2.Token:
        token = self._principals.revoke_token(_administrator(context), request.request_id, request.token_id)
        return convert.token_message(token)

    def SetGrant(self, request: admin_pb2.SetGrantRequest, context: grpc.ServicerContext) -> admin_pb2.Grant:
        grant = Grant(convert.role_value(request.role), request.prefix, request.alias)
        granted = self._principals.grant(_administrator(context), request.request_id, request.principal, grant)
        return convert.grant_message(granted)

    def RevokeGrant(
        self, request: admin_pb2.RevokeGrantRequest, context: grpc.ServicerContext
    ) -> admin_pb2.RevokeGrantResponse:
        grant = Grant(convert.role_value(request.role), request.prefix, request.alias)
        self._principals.revoke_grant(_administrator(context), request.request_id, request.principal, grant)
        return admin_pb2.RevokeGrantResponse()

    def ListGrants(
        self, request: admin_pb2.ListGrantsRequest, context: grpc.ServicerContext
    ) -> admin_pb2.ListGrantsResponse:
        _administrator(context)
        grants, token = self._principals.grants(request.principal, request.page_size, request.page_token)
        return admin_pb2.ListGrantsResponse(grants=map(convert.grant_message, grants), next_page_token=token)

    def WhoAmI(self, request: admin_pb2.WhoAmIRequest, context: grpc.ServicerContext) -> admin_pb2.WhoAmIResponse:
        proven = authenticated_of(context)
        if proven is None:
            return convert.identity_message(Identity(actor_of(context), False, None, "", ()))
        identity = Identity(proven.caller.actor, True, proven.kind, proven.token_id, proven.grants)
        return convert.identity_message(identity)


def _administrator(context: grpc.ServicerContext) -> str:
    """Who calls, where that is known: else anybody could make a token here for the time when it is."""
    if authenticated_of(context) is None:
        raise WrongState(
            "this server was started without --auth: it does not ask who calls, and has no principals to administer"
        )
    return actor_of(context)
