"""The verbs, each loaded when somebody calls it: all together take longer to load than most take to run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

_MODULES: Mapping[str, str] = {
    "alias": "alias",
    "approve": "approvals",
    "compare": "compare",
    "completion": "completion",
    "deployments": "deployments",
    "doctor": "doctor",
    "grant": "grant",
    "journal": "journal",
    "lineage": "lineage",
    "metrics": "metrics",
    "model": "model",
    "models": "registry",
    "policy": "policy",
    "principal": "principal",
    "promote": "promote",
    "pull": "transfer",
    "push": "transfer",
    "reject": "approvals",
    "reproduce": "reproduce",
    "requests": "approvals",
    "resolve": "registry",
    "retire": "deployments",
    "rollback": "promote",
    "schema": "schema",
    "search": "search",
    "serve": "serve",
    "show": "registry",
    "token": "token",
    "verify": "transfer",
    "version": "version",
    "versions": "registry",
    "watch": "watch",
    "webhook": "webhook",
    "whoami": "principal",
    "zombies": "deployments",
}
"""Where each verb is; its function has its name."""


class Verbs(click.Group):
    """A group whose commands are those of ``_MODULES``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in order."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of a name; None: there is none."""
        module = _MODULES.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"weighbridge.cli.{module}"), cmd_name)
        return command
