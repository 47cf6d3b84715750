"""The flags that every verb takes, before it or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from weighbridge.client import Client, connect

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class GlobalOptions:
    """What was given, wherever it stood."""

    server: str | None = None
    token: str | None = None
    json: bool = False

    def connect(self) -> Client:
        """A client of the server that was named."""
        return connect(self.server, token=self.token)


pass_options = click.make_pass_decorator(GlobalOptions, ensure=True)


def global_options(command: F) -> F:
    """Adds ``--server``, ``--token`` and ``--json``."""
    for option in (
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
            help="Sent with every call. [env: WEIGHBRIDGE_TOKEN]",
        ),
        click.option(
            "--server",
            metavar="HOST:PORT",
            expose_value=False,
            callback=_remember("server"),
            help="The server to talk to. [env: WEIGHBRIDGE_SERVER; default: 127.0.0.1:8420]",
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
