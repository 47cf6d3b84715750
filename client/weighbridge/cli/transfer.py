"""``push``, ``pull`` and ``verify``: the verbs that move or read weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from weighbridge.cli.completion import complete_folder, complete_model
from weighbridge.cli.documents import print_json, pulled_document, pushed_document, verified_document
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.pairs import DatasetName, Measure, Pair, each_name_once, scalars
from weighbridge.cli.progress_bar import progress_shown
from weighbridge.cli.render import print_facts
from weighbridge.cli.text import visible
from weighbridge.cli.units import counted, size
from weighbridge.core.digest import format_digest
from weighbridge.core.values import Dataset

FOUND_SOMETHING = 3
"""Exit code of a check that found something."""


@click.command(short_help="Push files and folders as a new version.")
@click.argument("model", shell_complete=complete_model)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--parent",
    "parents",
    multiple=True,
    metavar="REF",
    shell_complete=complete_model,
    help="A version that this one was made from.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    type=Pair(),
    callback=each_name_once,
    help="A parameter of the training: a number, true, false, or text; '\"1.10\"' is text.",
)
@click.option(
    "--metric", "metrics", multiple=True, type=Measure(), callback=each_name_once, help="The value of a metric."
)
@click.option(
    "--tag", "tags", multiple=True, type=Pair(), callback=each_name_once, help="A label; its value is as of --param."
)
@click.option("--dataset", "datasets", multiple=True, type=DatasetName(), help="Data it was made from.")
@click.option("--description", default="", metavar="TEXT", help="What this version is, in your words.")
@click.option("--no-capture", is_flag=True, help="Do not record git state, environment and command line.")
@global_options
@pass_options
def push(
    options: GlobalOptions,
    model: str,
    paths: tuple[str, ...],
    parents: tuple[str, ...],
    params: tuple[tuple[str, str], ...],
    metrics: tuple[tuple[str, float], ...],
    tags: tuple[tuple[str, str], ...],
    datasets: tuple[Dataset, ...],
    description: str,
    no_capture: bool,
) -> None:
    """Push files and folders as a new version of MODEL.

    A folder's files keep their paths relative to it, a file its base name. Only what the server does not
    hold is sent. A missing model is created. The state of the git repository of the current folder, the
    machine and its packages are recorded too, but no secrets. With --quiet, only the new version's
    reference is printed.

    What a version must record is what 'weighbridge schema get MODEL' shows. A push that lacks some of it is
    refused, all of it named, before a byte is sent.

    \b
    Examples:
      weighbridge push fraud.tabular.transformer checkpoint/ \\
          --tag data_sensitivity=internal --tag cost_per_inference=0.0004 \\
          --tag dataset_version=2026-10 --tag hardware_target=gpu
      weighbridge push fraud.tabular.transformer model.safetensors \\
          --param lr=3e-4 --metric auc=0.93 --description "more months" \\
          --dataset transactions:2026-10 --parent fraud.tabular.transformer:6
      ref=$(weighbridge push -q fraud.tabular.transformer checkpoint/)
    """
    with options.connect() as client, progress_shown("pushing", options) as progress:
        pushed = client.push(
            model,
            *paths,
            parent=parents,
            params=scalars(params),
            metrics=dict(metrics),
            tags=scalars(tags),
            datasets=datasets,
            description=description,
            progress=progress,
            capture=not no_capture,
        )
    version = pushed.version
    if options.json:
        print_json(pushed_document(pushed))
    elif options.quiet:
        click.echo(visible(version.ref))
    else:
        print_facts(
            f"pushed {version.ref}",
            [
                ("content", f"{counted(version.files_total, 'file')}, {size(pushed.bytes_total)}"),
                ("manifest", format_digest(version.manifest)),
                ("sent", _moved(pushed.bytes_sent, pushed.chunks_sent, pushed.chunks_total, pushed.bytes_total)),
                ("time", _time(pushed.seconds, pushed.bytes_total)),
            ],
        )


@click.command(short_help="Pull a version into a folder.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("dest", required=False, type=click.Path(), shell_complete=complete_folder)
@click.option("--include", multiple=True, metavar="GLOB", help="Pull only files whose path matches; may be repeated.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files whose path matches; may be repeated.")
@global_options
@pass_options
def pull(
    options: GlobalOptions, ref: str, dest: str | None, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    """Pull a version into the folder DEST (made if absent; default: the model's name).

    REF is name (the latest), name:7, name@alias or name#b3:<digest>. Every byte is verified before any file
    appears. What DEST or the cache of chunks holds already does not come over the wire. In a GLOB, * matches
    any characters, / too. With --quiet, only the reference of what was pulled is printed.

    \b
    Examples:
      weighbridge pull fraud.tabular.transformer
      weighbridge pull fraud.tabular.transformer:7 models/
      weighbridge pull fraud.tabular.transformer models/ --include '*.json'
    """
    with options.connect() as client, progress_shown("pulling", options) as progress:
        pulled = client.pull_with_counts(ref, dest, include=include, exclude=exclude, progress=progress)
    if options.json:
        print_json(pulled_document(pulled))
    elif options.quiet:
        click.echo(visible(pulled.ref))
    else:
        received = _moved(pulled.bytes_received, pulled.chunks_received, pulled.chunks_total, pulled.bytes_total)
        print_facts(
            f"pulled {pulled.ref} into {pulled.path}",
            [
                ("content", _verified(pulled.files_total, pulled.bytes_total)),
                ("manifest", format_digest(pulled.manifest)),
                ("received", received),
                ("time", _time(pulled.seconds, pulled.bytes_total)),
            ],
        )


@click.command(short_help="Check every byte of a pulled folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), shell_complete=complete_folder)
@global_options
@click.pass_context
@pass_options
def verify(options: GlobalOptions, context: click.Context, folder: Path) -> None:
    """Check every byte of a pulled folder. Exits with 3 when something is not what was pulled.

    \b
    Examples:
      weighbridge verify models/
      weighbridge verify -q models/ || echo "pull it again"
    """
    with options.connect() as client:
        verified = client.verify(folder)
    if options.json:
        print_json(verified_document(verified))
    elif not verified.ok:
        problems = [(problem.path, problem.message) for problem in verified.problems]
        print_facts(f"{folder} is not {verified.ref}", problems)
    elif not options.quiet:
        content = _verified(verified.files_total, verified.bytes_total)
        others = [("also there", _named(verified.others))] if verified.others else []
        print_facts(f"{folder} is {verified.ref}", [("content", content), *others])
    if not verified.ok:
        context.exit(FOUND_SOMETHING)


def _named(paths: Sequence[str]) -> str:
    """The first few of files that did not come with a version."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(paths[:3])}{more}, which did not come with it"


def _verified(files_total: int, bytes_total: int) -> str:
    return f"{counted(files_total, 'file')}, {size(bytes_total)}, every byte verified"


def _moved(moved: int, chunks: int, chunks_total: int, bytes_total: int) -> str:
    share = f", {moved / bytes_total:.3f} of the size" if bytes_total else ""
    return f"{size(moved)} in {chunks} of {chunks_total} chunks{share}"


def _time(seconds: float, bytes_total: int) -> str:
    return f"{seconds:.2f} s, {size(bytes_total / seconds)}/s" if seconds else "0 s"
