"""Shell completion: click's own scripts, and what completes a model's name."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from weighbridge.cli.options import GlobalOptions, global_options

PROGRAM = "weighbridge"
COMPLETE_VAR = "_WEIGHBRIDGE_COMPLETE"
"""Set by the scripts when a shell asks."""
_PATIENCE_S = 0.8
"""Somebody holds the tab key and looks on."""
_PAGE_SIZE = 1000


@click.command(short_help="Print the script that completes in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete verbs, options, files, and models as the server knows them.

    \b
    Install it once:
      bash: echo 'eval "$(weighbridge completion bash)"' >> ~/.bashrc
      zsh:  echo 'eval "$(weighbridge completion zsh)"' >> ~/.zshrc
            (behind the line that calls compinit)
      fish: weighbridge completion fish \\
            > ~/.config/fish/completions/weighbridge.fish

    \b
    Examples:
      eval "$(weighbridge completion bash)"     # for this shell only
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows each of the shells offered"
    # Past BashComplete.source, which runs the bash it finds to warn of old ones: this may be for another machine.
    script = ShellComplete.source(kind(context.find_root().command, {}, PROGRAM, COMPLETE_VAR))
    click.echo(script.strip())


def silence_completion() -> None:
    """When a shell asks, nothing may reach the terminal but the answer: not even what libraries write."""
    if COMPLETE_VAR in os.environ:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def complete_model(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models whose names begin so; none when the server does not answer at once."""
    return _found(context, incomplete, deleted=False)


def complete_deleted_model(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """As ``complete_model``, of those that are deleted."""
    return _found(context, incomplete, deleted=True)


def _found(context: click.Context, incomplete: str, *, deleted: bool) -> list[CompletionItem]:
    found: list[CompletionItem] = []
    with contextlib.suppress(Exception):  # whatever is wrong, a completion is not the place to say it
        found.extend(map(CompletionItem, _names(context.ensure_object(GlobalOptions), incomplete, deleted=deleted)))
    return found


def complete_folder(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves it to the shell, which knows its folders."""
    return [CompletionItem(incomplete, type="dir")]


def _names(options: GlobalOptions, prefix: str, *, deleted: bool) -> Iterator[str]:
    from weighbridge.v1 import models_pb2, models_pb2_grpc
    from weighbridge.wire.channel import call_metadata, open_channel

    deadline = time.monotonic() + _PATIENCE_S
    credential = options.credential()
    metadata = call_metadata(credential[0] if credential else None)
    with open_channel(options.address()[0]) as channel:
        stub = models_pb2_grpc.ModelServiceStub(channel)
        token = ""
        while True:
            request = models_pb2.ListModelsRequest(page_size=_PAGE_SIZE, page_token=token, show_deleted=deleted)
            page = stub.ListModels(request, timeout=max(0.0, deadline - time.monotonic()), metadata=metadata)
            for model in page.models:
                if model.name.startswith(prefix) and model.HasField("deletion") is deleted:
                    yield model.name
            token = page.next_page_token
            if not token:
                return
