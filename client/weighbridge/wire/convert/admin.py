"""Principals, tokens and grants."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from weighbridge.core.principals import GrantedRole, Identity, NewToken, Principal, PrincipalKind, Token
from weighbridge.core.values import Grant, Role
from weighbridge.v1 import admin_pb2
from weighbridge.wire.convert.common import time_message, time_value

_KINDS = {
    PrincipalKind.PERSON: admin_pb2.PRINCIPAL_KIND_PERSON,
    PrincipalKind.SERVICE: admin_pb2.PRINCIPAL_KIND_SERVICE,
}
_KIND_VALUES = {number: kind for kind, number in _KINDS.items()}
_ROLES = {
    Role.READER: admin_pb2.ROLE_READER,
    Role.CONTRIBUTOR: admin_pb2.ROLE_CONTRIBUTOR,
    Role.APPROVER: admin_pb2.ROLE_APPROVER,
    Role.MAINTAINER: admin_pb2.ROLE_MAINTAINER,
    Role.ADMIN: admin_pb2.ROLE_ADMIN,
}
_ROLE_VALUES = {number: role for role, number in _ROLES.items()}


def kind_message(kind: PrincipalKind) -> admin_pb2.PrincipalKind.ValueType:
    """A kind of principal as a message."""
    return _KINDS[kind]


def kind_value(message: admin_pb2.PrincipalKind.ValueType) -> PrincipalKind:
    """A message as a kind of principal; a kind from a later release is a service to this one."""
    return _KIND_VALUES.get(message, PrincipalKind.SERVICE)


def role_message(role: Role) -> admin_pb2.Role.ValueType:
    """A role as a message."""
    return _ROLES[role]


def role_value(message: admin_pb2.Role.ValueType) -> Role:
    """A message as a role; one from a later release reads, which every role does."""
    return _ROLE_VALUES.get(message, Role.READER)


def principal_message(principal: Principal) -> admin_pb2.Principal:
    """A principal as a message."""
    return admin_pb2.Principal(
        name=principal.name,
        kind=kind_message(principal.kind),
        description=principal.description,
        created_time=time_message(principal.created_time),
        creator=principal.creator,
        disabled_time=_optional_message(principal.disabled_time),
        disabled_by=principal.disabled_by,
    )


def principal_value(message: admin_pb2.Principal) -> Principal:
    """A message as a principal."""
    return Principal(
        name=message.name,
        kind=kind_value(message.kind),
        description=message.description,
        created_time=time_value(message.created_time),
        creator=message.creator,
        disabled_time=time_value(message.disabled_time) if message.HasField("disabled_time") else None,
        disabled_by=message.disabled_by,
    )


def token_message(token: Token) -> admin_pb2.Token:
    """A token as a message."""
    return admin_pb2.Token(
        token_id=token.token_id,
        principal=token.principal,
        description=token.description,
        created_time=time_message(token.created_time),
        creator=token.creator,
        expires_time=_optional_message(token.expires_time),
        revoked_time=_optional_message(token.revoked_time),
        revoked_by=token.revoked_by,
        last_used_time=_optional_message(token.last_used_time),
        live=token.live,
    )


def token_value(message: admin_pb2.Token) -> Token:
    """A message as a token."""
    return Token(
        token_id=message.token_id,
        principal=message.principal,
        description=message.description,
        created_time=time_value(message.created_time),
        creator=message.creator,
        expires_time=time_value(message.expires_time) if message.HasField("expires_time") else None,
        revoked_time=time_value(message.revoked_time) if message.HasField("revoked_time") else None,
        revoked_by=message.revoked_by,
        last_used_time=time_value(message.last_used_time) if message.HasField("last_used_time") else None,
        live=message.live,
    )


def new_token_message(new: NewToken) -> admin_pb2.CreateTokenResponse:
    """A token that was just made as a message."""
    return admin_pb2.CreateTokenResponse(token=token_message(new.token), text=new.text)


def new_token_value(message: admin_pb2.CreateTokenResponse) -> NewToken:
    """A message as a token that was just made."""
    return NewToken(token_value(message.token), message.text)


def grant_message(granted: GrantedRole) -> admin_pb2.Grant:
    """A role that a principal has as a message."""
    return admin_pb2.Grant(
        principal=granted.principal,
        role=role_message(granted.grant.role),
        prefix=granted.grant.prefix,
        alias=granted.grant.alias,
        granted_time=time_message(granted.granted_time),
        granted_by=granted.granted_by,
    )


def grant_value(message: admin_pb2.Grant) -> GrantedRole:
    """A message as a role that a principal has."""
    return GrantedRole(
        principal=message.principal,
        grant=Grant(role_value(message.role), message.prefix, message.alias),
        granted_time=time_value(message.granted_time),
        granted_by=message.granted_by,
    )


def identity_message(identity: Identity) -> admin_pb2.WhoAmIResponse:
    """Who calls as a message."""
    return admin_pb2.WhoAmIResponse(
        actor=identity.actor,
        authenticated=identity.authenticated,
        kind=admin_pb2.PRINCIPAL_KIND_UNSPECIFIED if identity.kind is None else kind_message(identity.kind),
        token_id=identity.token_id,
        grants=map(grant_message, identity.grants),
    )


def identity_value(message: admin_pb2.WhoAmIResponse) -> Identity:
    """A message as who calls."""
    return Identity(
        actor=message.actor,
        authenticated=message.authenticated,
        kind=kind_value(message.kind) if message.kind else None,
        token_id=message.token_id,
        grants=[grant_value(grant) for grant in message.grants],
    )


def _optional_message(time: datetime | None) -> Timestamp | None:
    return None if time is None else time_message(time)
