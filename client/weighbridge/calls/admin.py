"""Who may call: principals, their tokens and their roles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.errors import UsageError
from weighbridge.core.principals import (
    DESCRIPTION_CHARS,
    LONGEST_TTL_S,
    GrantedRole,
    Identity,
    NewToken,
    Principal,
    PrincipalKind,
    Token,
    check_principal,
    parse_role,
    parse_scope,
    parse_token,
)
from weighbridge.core.text_check import checked_text
from weighbridge.core.values import Role
from weighbridge.v1 import admin_pb2
from weighbridge.wire import convert


class AdminCalls(Connected):
    """See ``Client``."""

    def whoami(self) -> Identity:
        """Who this client is to the server, and what it may do there.

        Raises:
            Unauthenticated: the server asks for a token, and this client's is none that works.
        """
        answer = self._connection.call(self._connection.admin.WhoAmI, admin_pb2.WhoAmIRequest())
        return convert.identity_value(answer)

    def create_principal(
        self, name: str, *, kind: PrincipalKind = PrincipalKind.PERSON, description: str = ""
    ) -> Principal:
        """Adds a principal, without tokens and roles.

        Args:
            name: a lowercase letter or digit, then up to 62 of ``[a-z0-9._-]``.
            kind: a person, or a service: a training job, a serving node, a pipeline.
            description: who or what it is.

        Raises:
            PrincipalExists, InvalidName, PermissionDenied (here and below).
        """
        request = admin_pb2.CreatePrincipalRequest(
            request_id=uuid.uuid4().hex,
            name=check_principal(name),
            kind=convert.kind_message(PrincipalKind(kind)),
            description=checked_text("description", description, most_chars=DESCRIPTION_CHARS),
        )
        return convert.principal_value(self._connection.call(self._connection.admin.CreatePrincipal, request))

    def principals(self) -> Iterator[Principal]:
        """Every principal, in order of name; disabled ones too."""

        def page(token: str) -> tuple[Sequence[admin_pb2.Principal], str]:
            request = admin_pb2.ListPrincipalsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.admin.ListPrincipals, request)
            return answer.principals, answer.next_page_token

        return map(convert.principal_value, self._pages("principals", page))

    def disable_principal(self, name: str) -> Principal:
        """Ends a principal's tokens for good, and lets it have no others.

        Raises:
            PrincipalNotFound; WrongState: nobody who can administer the server would be left.
        """
        request = admin_pb2.DisablePrincipalRequest(request_id=uuid.uuid4().hex, name=check_principal(name))
        return convert.principal_value(self._connection.call(self._connection.admin.DisablePrincipal, request))

    def enable_principal(self, name: str) -> Principal:
        """Lets a disabled principal have tokens again. Raises: PrincipalNotFound."""
        request = admin_pb2.EnablePrincipalRequest(request_id=uuid.uuid4().hex, name=check_principal(name))
        return convert.principal_value(self._connection.call(self._connection.admin.EnablePrincipal, request))

    def create_token(self, principal: str, *, description: str = "", ttl_s: int | None = None) -> NewToken:
        """Makes a token. Only this answer has its text: the server keeps a hash.

        Args:
            principal: whose it is.
            description: where it is used.
            ttl_s: how long it works, in seconds, at most ten years; None: until it is revoked.

        Raises:
            PrincipalNotFound; WrongState: the principal is disabled.
        """
        if ttl_s is not None and not 1 <= ttl_s <= LONGEST_TTL_S:
            raise UsageError(f"a token works for 1 to {LONGEST_TTL_S} seconds, not for {ttl_s}")
        # Tried again with the same id, the server gives it another secret: the one that was lost on its way is dead.
        request = admin_pb2.CreateTokenRequest(
            request_id=uuid.uuid4().hex,
            principal=check_principal(principal),
            description=checked_text("description", description, most_chars=DESCRIPTION_CHARS),
            ttl_s=ttl_s,
        )
        return convert.new_token_value(self._connection.call(self._connection.admin.CreateToken, request))

    def tokens(self, principal: str = "") -> Iterator[Token]:
        """A principal's tokens, or everybody's, the oldest first; those that do not work any more too.

        Raises:
            PrincipalNotFound.
        """
        if principal:
            check_principal(principal)

        def page(token: str) -> tuple[Sequence[admin_pb2.Token], str]:
            request = admin_pb2.ListTokensRequest(principal=principal, page_size=PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.admin.ListTokens, request)
            return answer.tokens, answer.next_page_token

        return map(convert.token_value, self._pages("tokens", page))

    def revoke_token(self, token: str) -> Token:
        """Ends a token; within 5 seconds no server takes it any more.

        ``token``: its id, or its text, of which only the id is sent.

        Raises:
            PrincipalNotFound: there is no token of that id.
            WrongState: nobody who can administer the server would be left.
        """
        named = parse_token(token.strip())
        token_id = checked_text("token", token) if named is None else named[0]
        request = admin_pb2.RevokeTokenRequest(request_id=uuid.uuid4().hex, token_id=token_id)
        return convert.token_value(self._connection.call(self._connection.admin.RevokeToken, request))

    def grant(self, principal: str, role: Role | str, scope: str) -> GrantedRole:
        """Gives a principal a role.

        Args:
            principal: who gets it.
            role: what they may do.
            scope: where: a prefix of names in whole segments, ``fraud``; all names, ``*``; or one alias or stage of
                them, ``fraud@production``.

        Raises:
            PrincipalNotFound, InvalidName, InvalidReference, LimitExceeded.
        """
        prefix, alias = parse_scope(scope)
        request = admin_pb2.SetGrantRequest(
            request_id=uuid.uuid4().hex,
            principal=check_principal(principal),
            role=convert.role_message(parse_role(role)),
            prefix=prefix,
            alias=alias,
        )
        return convert.grant_value(self._connection.call(self._connection.admin.SetGrant, request))

    def revoke_grant(self, principal: str, role: Role | str, scope: str) -> None:
        """Takes a role from a principal, where it was given.

        Raises:
            PrincipalNotFound: it has not that role there.
            WrongState: nobody who can administer the server would be left.
            InvalidName, InvalidReference.
        """
        prefix, alias = parse_scope(scope)
        request = admin_pb2.RevokeGrantRequest(
            request_id=uuid.uuid4().hex,
            principal=check_principal(principal),
            role=convert.role_message(parse_role(role)),
            prefix=prefix,
            alias=alias,
        )
        self._connection.call(self._connection.admin.RevokeGrant, request)

    def grants(self, principal: str = "") -> Iterator[GrantedRole]:
        """A principal's roles, or everybody's, in order of principal and scope.

        Raises:
            PrincipalNotFound.
        """
        if principal:
            check_principal(principal)

        def page(token: str) -> tuple[Sequence[admin_pb2.Grant], str]:
            request = admin_pb2.ListGrantsRequest(principal=principal, page_size=PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.admin.ListGrants, request)
            return answer.grants, answer.next_page_token

        return map(convert.grant_value, self._pages("grants", page))
