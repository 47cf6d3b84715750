"""The flags that every verb takes, before it or after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from weighbridge.client import DEFAULT_SERVER, Client, connect, token_in_file

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class GlobalOptions:
    """What was given, wherever it stood."""

    server: str | None = None
    token: str | None = None
    json: bool = False
    quiet: bool = False

    def connect(self) -> Client:
        """A client of the server that was named."""
        return connect(self.server, token=self.token)

    def environment(self) -> dict[str, str]:
        """What a command that is run needs to speak with the same server."""
        given = {"WEIGHBRIDGE_SERVER": self.server, "WEIGHBRIDGE_TOKEN": self.token}
        return {name: value for name, value in given.items() if value}

    def address(self) -> tuple[str, str]:
        """The server that ``connect`` takes, and where its name comes from."""
        return _first(self.server, "--server", "WEIGHBRIDGE_SERVER") or (DEFAULT_SERVER, "the default")

    def credential(self) -> tuple[str, str] | None:
        """The token that ``connect`` takes, and where it comes from."""
        named = _first(self.token, "--token", "WEIGHBRIDGE_TOKEN")
        if named is None and (held := token_in_file()) is not None:
            return held, "from WEIGHBRIDGE_TOKEN_FILE"
        return named


def _first(given: str | None, flag: str, variable: str) -> tuple[str, str] | None:
    if given:
        return given, f"from {flag}"
    value = os.environ.get(variable)
    return (value, f"from {variable}") if value else None


pass_options = click.make_pass_decorator(GlobalOptions, ensure=True)


def global_options(command: F) -> F:
    """Adds ``--server``, ``--token``, ``--json`` and ``--quiet``."""
    for option in (
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_remember("quiet"),
            help="No progress, no details: only errors, and the references or names that are the result.",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_remember("json"),
            help="Print one JSON document on standard output.",
        ),
        click.option(
            "--token",
            metavar="TOKEN",
            expose_value=False,
            callback=_remember("token"),
            help="Sent with every call. [env: WEIGHBRIDGE_TOKEN, or WEIGHBRIDGE_TOKEN_FILE]",
        ),
        click.option(
            "--server",
            metavar="HOST:PORT",
            expose_value=False,
            callback=_remember("server"),
            help=f"The server to talk to. [env: WEIGHBRIDGE_SERVER; default: {DEFAULT_SERVER}]",
        ),
    ):
        command = option(command)
    return command


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        options = context.ensure_object(GlobalOptions)
        if value:
            setattr(options, name, value)

    return callback
