"""Rows of principals, their tokens and their grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weighbridge.core.principals import GrantedRole, Principal, PrincipalKind, Token
from weighbridge.core.values import Grant, Role
from weighbridge_server.domain.access.ports import Credential
from weighbridge_server.storage.database import PooledDatabase

_LOCK = 0x7072696E63  # "princ"
_PRINCIPAL = "name, kind, description, created_time, creator, disabled_time, coalesce(disabled_by, '')"
_LIVE = "p.disabled_time IS NULL AND t.revoked_time IS NULL AND (t.expires_time IS NULL OR now() < t.expires_time)"
_TOKEN = f"""
    t.token_id, p.name, t.description, t.created_time, t.creator, t.expires_time, t.revoked_time,
    coalesce(t.revoked_by, ''), t.last_used_time, {_LIVE}
"""
_TOKENS = "FROM token t JOIN principal p ON p.id = t.principal_id"
_GRANT = "p.name, g.role, g.prefix, g.alias, g.granted_time, g.granted_by"
_GRANTS = "FROM role_grant g JOIN principal p ON p.id = g.principal_id"
_USED_WITHIN = "interval '1 hour'"


class PrincipalRows:
    """Implements the domain's ``PrincipalRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def lock(self) -> None:
        """See the port."""
        self._database.rows("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))

    def add(self, name: str, kind: PrincipalKind, description: str) -> bool:
        """See the port."""
        rows = self._database.rows(
            """
            INSERT INTO principal (name, kind, description, creator) VALUES (%s, %s, %s, %s)
            ON CONFLICT (name) DO NOTHING RETURNING id
            """,
            (name, str(kind), description, self._actor),
        )
        return bool(rows)

    def get(self, name: str) -> Principal | None:
        """See the port."""
        rows = self._database.rows(f"SELECT {_PRINCIPAL} FROM principal WHERE name = %s", (name,))
        return _principal(rows[0]) if rows else None

    def page(self, after: str, size: int) -> list[Principal]:
        """See the port."""
        rows = self._database.rows(
            f"SELECT {_PRINCIPAL} FROM principal WHERE name > %s ORDER BY name LIMIT %s", (after, size)
        )
        return [_principal(row) for row in rows]

    def disable(self, name: str) -> int:
        """See the port."""
        ended = self._database.rows(
            """
            UPDATE token AS t SET revoked_time = now(), revoked_by = %s FROM principal p
            WHERE p.id = t.principal_id AND p.name = %s AND t.revoked_time IS NULL
            RETURNING t.expires_time IS NULL OR now() < t.expires_time
            """,
            (self._actor, name),
        )
        self._database.rows(
            "UPDATE principal SET disabled_time = now(), disabled_by = %s WHERE name = %s", (self._actor, name)
        )
        return sum(worked for (worked,) in ended)

    def enable(self, name: str) -> None:
        """See the port."""
        self._database.rows("UPDATE principal SET disabled_time = NULL, disabled_by = NULL WHERE name = %s", (name,))

    def credential(self, token_id: str) -> Credential | None:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT t.secret_hash, p.name, p.kind, p.disabled_time IS NOT NULL, t.revoked_time IS NOT NULL,
                extract(epoch FROM t.expires_time - now())
            {_TOKENS} WHERE t.token_id = %s
            """,
            (token_id,),
        )
        if not rows:
            return None
        secret_hash, name, kind, disabled, revoked, expires_in_s = rows[0]
        granted = self._database.rows(f"SELECT {_GRANT} {_GRANTS} WHERE p.name = %s ORDER BY 1, 3, 4, 2", (name,))
        return Credential(
            token_id=token_id,
            secret_hash=bytes(secret_hash),
            principal=name,
            kind=PrincipalKind(kind),
            disabled=disabled,
            revoked=revoked,
            expires_in_s=None if expires_in_s is None else float(expires_in_s),
            grants=[_granted(row) for row in granted],
        )

    def used(self, token_id: str) -> None:
        """See the port."""
        self._database.rows(
            f"""
            UPDATE token SET last_used_time = now()
            WHERE token_id = %s AND (last_used_time IS NULL OR last_used_time < now() - {_USED_WITHIN})
            """,
            (token_id,),
        )

    def add_token(
        self, token_id: str, principal: str, description: str, secret_hash: bytes, ttl_s: int | None
    ) -> Token:
        """See the port."""
        self._database.rows(
            """
            INSERT INTO token (token_id, principal_id, description, secret_hash, creator, expires_time)
            SELECT %s, id, %s, %s, %s, now() + make_interval(secs => %s) FROM principal WHERE name = %s
            """,
            (token_id, description, secret_hash, self._actor, ttl_s, principal),
        )
        added = self.token(token_id)
        assert added is not None, "it was put there by this transaction"
        return added

    def reissue(self, token_id: str, secret_hash: bytes) -> bool:
        """See the port."""
        rows = self._database.rows(
            """
            UPDATE token SET secret_hash = %s
            WHERE token_id = %s AND last_used_time IS NULL AND revoked_time IS NULL RETURNING id
            """,
            (secret_hash, token_id),
        )
        return bool(rows)

    def token(self, token_id: str) -> Token | None:
        """See the port."""
        rows = self._database.rows(f"SELECT {_TOKEN} {_TOKENS} WHERE t.token_id = %s", (token_id,))
        return Token(*rows[0]) if rows else None

    def tokens(self, principal: str, after: int, size: int) -> list[tuple[int, Token]]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT t.id, {_TOKEN} {_TOKENS} WHERE (%s = '' OR p.name = %s) AND t.id > %s ORDER BY t.id LIMIT %s
            """,
            (principal, principal, after, size),
        )
        return [(key, Token(*row)) for key, *row in rows]

    def revoke(self, token_id: str) -> None:
        """See the port."""
        self._database.rows(
            "UPDATE token SET revoked_time = now(), revoked_by = %s WHERE token_id = %s", (self._actor, token_id)
        )

    def grant(self, principal: str, grant: Grant) -> bool:
        """See the port."""
        rows = self._database.rows(
            """
            INSERT INTO role_grant (principal_id, prefix, alias, role, granted_by)
            SELECT id, %s, %s, %s, %s FROM principal WHERE name = %s
            ON CONFLICT DO NOTHING RETURNING principal_id
            """,
            (grant.prefix, grant.alias, str(grant.role), self._actor, principal),
        )
        return bool(rows)

    def ungrant(self, principal: str, grant: Grant) -> bool:
        """See the port."""
        rows = self._database.rows(
            """
            DELETE FROM role_grant WHERE principal_id = (SELECT id FROM principal WHERE name = %s)
            AND prefix = %s AND alias = %s AND role = %s RETURNING principal_id
            """,
            (principal, grant.prefix, grant.alias, str(grant.role)),
        )
        return bool(rows)

    def granted(self, principal: str, grant: Grant) -> GrantedRole | None:
        """See the port."""
        rows = self._database.rows(
            f"SELECT {_GRANT} {_GRANTS} WHERE p.name = %s AND g.prefix = %s AND g.alias = %s AND g.role = %s",
            (principal, grant.prefix, grant.alias, str(grant.role)),
        )
        return _granted(rows[0]) if rows else None

    def grants(self, principal: str, after: Sequence[str], size: int) -> list[GrantedRole]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT {_GRANT} {_GRANTS}
            WHERE (%s = '' OR p.name = %s) AND (p.name, g.prefix, g.alias, g.role) > (%s, %s, %s, %s)
            ORDER BY p.name, g.prefix, g.alias, g.role LIMIT %s
            """,
            (principal, principal, *after, size),
        )
        return [_granted(row) for row in rows]

    def administrators(self, most: int) -> list[str]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT p.name FROM principal p WHERE EXISTS (
                SELECT FROM role_grant g
                WHERE g.principal_id = p.id AND g.role = 'admin' AND g.prefix = '*' AND g.alias = ''
            ) AND EXISTS (SELECT FROM token t WHERE t.principal_id = p.id AND {_LIVE}) ORDER BY p.name LIMIT %s
            """,
            (most,),
        )
        return [name for (name,) in rows]


def _principal(row: tuple[Any, ...]) -> Principal:
    name, kind, *rest = row
    return Principal(name, PrincipalKind(kind), *rest)


def _granted(row: tuple[Any, ...]) -> GrantedRole:
    principal, role, prefix, alias, time, granted_by = row
    return GrantedRole(principal, Grant(Role(role), prefix, alias), time, granted_by)
