"""A server that asks who calls, and people with roles on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunningServer

_numbers = itertools.count(1)


@dataclass
class AskingWho:
    """A server with ``--auth``, and its administrator."""

    server: RunningServer
    clients: list[wb.Client] = field(default_factory=list)

    @property
    def admin_token(self) -> str:
        """As the server left it."""
        return (self.server.data / "admin.token").read_text().strip()

    def connect(self, token: str | None = None) -> wb.Client:
        """A client with a token."""
        self.clients.append(wb.connect(self.server.address, token=token))
        return self.clients[-1]

    def admin(self) -> wb.Client:
        """The administrator's client."""
        return self.connect(self.admin_token)

    def close(self) -> None:
        """Ends the clients and the server."""
        for client in self.clients:
            client.close()
        self.server.stop()

    def token(self, *grants: tuple[str, str], name: str = "") -> wb.NewToken:
        """A token of a new principal with these roles: pairs of role and scope."""
        admin = self.admin()
        principal = name or f"somebody{next(_numbers)}"
        admin.create_principal(principal)
        for role, scope in grants:
            admin.grant(principal, role, scope)
        return admin.create_token(principal)

    def somebody(self, *grants: tuple[str, str], name: str = "") -> wb.Client:
        """As ``token``: a client with it."""
        return self.connect(self.token(*grants, name=name).text)


@pytest.fixture(scope="module")
def asking(session_dir: Path) -> Iterator[AskingWho]:
    """A server that a module's tests share; they use names of their own."""
    running = RunningServer(session_dir / f"auth{next(_numbers)}", arguments=("--auth",)).start()
    asking = AskingWho(running)
    yield asking
    asking.close()
