"""``push``, ``pull`` and ``verify``: the verbs that move or read weights."""

from __future__ import annotations

from pathlib import Path

import click

from weighbridge.cli import render
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.pairs import DatasetName, Measure, Pair, scalars
from weighbridge.cli.progress_bar import progress_bar
from weighbridge.core.digest import format_digest
from weighbridge.core.values import Dataset

FOUND_SOMETHING = 3
"""Exit code of a check that found something."""


@click.command()
@click.argument("model")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@click.option("--parent", "parents", multiple=True, metavar="REF", help="A version that this one was made from.")
@click.option("--param", "params", multiple=True, type=Pair(), help="A parameter of the training.")
@click.option("--metric", "metrics", multiple=True, type=Measure(), help="The value of a metric.")
@click.option("--tag", "tags", multiple=True, type=Pair(), help="A label.")
@click.option("--dataset", "datasets", multiple=True, type=DatasetName(), help="Data it was made from.")
@click.option("--description", default="", metavar="TEXT", help="What this version is, in your words.")
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
) -> None:
    """Push files and folders as a new version of MODEL.

    A folder's files keep their paths relative to it, a file its base name. Only what the server does not
    hold is sent. A missing model is created.

    \b
    Examples:
      weighbridge push fraud.tabular.transformer checkpoint/
      weighbridge push fraud.tabular.transformer model.safetensors --param lr=3e-4 --metric auc=0.93 \\
          --tag hardware_target=gpu --dataset transactions:2026-10
    """
    with options.connect() as client, progress_bar("pushing", shown=not options.json) as progress:
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
        )
    version = pushed.version
    if options.json:
        render.print_json(
            {
                "model": version.model,
                "version": version.version,
                "ref": version.ref,
                "manifest_digest": format_digest(version.manifest),
                "bytes_total": pushed.bytes_total,
                "bytes_sent": pushed.bytes_sent,
                "chunks_total": pushed.chunks_total,
                "chunks_sent": pushed.chunks_sent,
                "seconds": round(pushed.seconds, 3),
            }
        )
        return
    render.print_facts(
        f"pushed {version.ref}",
        [
            ("content", f"{_files(version.files_total)}, {render.size(pushed.bytes_total)}"),
            ("manifest", format_digest(version.manifest)),
            ("sent", _moved(pushed.bytes_sent, pushed.chunks_sent, pushed.chunks_total, pushed.bytes_total)),
            ("time", _time(pushed.seconds, pushed.bytes_total)),
        ],
    )


@click.command()
@click.argument("ref")
@click.argument("dest", required=False, type=click.Path())
@global_options
@pass_options
def pull(options: GlobalOptions, ref: str, dest: str | None) -> None:
    """Pull a version into the folder DEST (made if absent; default: the model's name).

    Every byte is verified before any file appears.

    \b
    Examples:
      weighbridge pull fraud.tabular.transformer
      weighbridge pull fraud.tabular.transformer:7 models/
    """
    with options.connect() as client, progress_bar("pulling", shown=not options.json) as progress:
        pulled = client.pull_with_counts(ref, dest, progress=progress)
    if options.json:
        render.print_json(
            {
                "ref": pulled.ref,
                "version": pulled.version,
                "manifest_digest": format_digest(pulled.manifest),
                "bytes_total": pulled.bytes_total,
                "bytes_received": pulled.bytes_received,
                "chunks_total": pulled.chunks_total,
                "chunks_received": pulled.chunks_received,
                "seconds": round(pulled.seconds, 3),
                "path": str(pulled.path),
            }
        )
        return
    received = _moved(pulled.bytes_received, pulled.chunks_received, pulled.chunks_total, pulled.bytes_total)
    render.print_facts(
        f"pulled {pulled.ref} into {pulled.path}",
        [
            (
                "content",
                f"{_files(pulled.files_total)}, {render.size(pulled.bytes_total)}, every byte verified",
            ),
            ("manifest", format_digest(pulled.manifest)),
            ("received", received),
            ("time", _time(pulled.seconds, pulled.bytes_total)),
        ],
    )


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@global_options
@click.pass_context
@pass_options
def verify(options: GlobalOptions, context: click.Context, folder: Path) -> None:
    """Check every byte of a pulled folder. Exits with 3 when something is not what was pulled."""
    with options.connect() as client:
        verified = client.verify(folder)
    if options.json:
        problems = [{"path": problem.path, "message": problem.message} for problem in verified.problems]
        render.print_json(
            {
                "path": str(verified.path),
                "ref": verified.ref,
                "ok": verified.ok,
                "files_total": verified.files_total,
                "bytes_total": verified.bytes_total,
                "problems": problems,
            }
        )
    elif verified.ok:
        content = f"{_files(verified.files_total)}, {render.size(verified.bytes_total)}, every byte verified"
        render.print_facts(f"{folder} is {verified.ref}", [("content", content)])
    else:
        render.print_facts(
            f"{folder} is not {verified.ref}",
            [(problem.path, problem.message) for problem in verified.problems],
        )
    if not verified.ok:
        context.exit(FOUND_SOMETHING)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _moved(moved: int, chunks: int, chunks_total: int, bytes_total: int) -> str:
    share = f", {moved / bytes_total:.3f} of the size" if bytes_total else ""
    return f"{render.size(moved)} in {chunks} of {chunks_total} chunks{share}"


def _time(seconds: float, bytes_total: int) -> str:
    return f"{seconds:.2f} s, {render.size(bytes_total / seconds)}/s" if seconds else "0 s"
