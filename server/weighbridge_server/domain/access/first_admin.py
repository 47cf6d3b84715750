"""The principal that a server makes where nobody could administer it."""

from __future__ import annotations

from collections.abc import Callable

from weighbridge.core.principals import SYSTEM, PrincipalKind
from weighbridge.core.refs import ALL_NAMES
from weighbridge.core.values import Grant, Role
from weighbridge_server.domain.access.principals import add_grant, add_principal, add_token, enable_principal
from weighbridge_server.domain.ports import Catalog

FIRST_ADMIN = "admin"


def ensure_administrator(catalog: Catalog, keep: Callable[[str], None]) -> bool:
    """Makes the principal ``admin`` with a token where nobody has a token that works and is admin on all names.

    ``keep`` is given the token's text, and puts it where the operator finds it. It does so before the commit: a crash
    between the two leaves a text that proves nothing, and the next start writes another over it. The other way round it
    would leave a token that works and that nobody has.

    Returns whether it was needed.
    """
    with catalog.transaction(SYSTEM) as tx:
        tx.principals.lock()
        if tx.principals.administrators(1):
            return False
        if tx.principals.get(FIRST_ADMIN) is None:
            add_principal(tx, FIRST_ADMIN, PrincipalKind.PERSON, "made by the server at its start")
        enable_principal(tx, FIRST_ADMIN)
        add_grant(tx, FIRST_ADMIN, Grant(Role.ADMIN, ALL_NAMES))
        keep(add_token(tx, FIRST_ADMIN, "made by the server at its start", None).text)
    return True
