"""``lineage``: what a version was made from, and what was made from it or from a dataset."""

from __future__ import annotations

from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json, version_document
from weighbridge.cli.lineage_dot import dot_lines
from weighbridge.cli.lineage_tree import print_tree
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.text import visible
from weighbridge.cli.units import counted
from weighbridge.core.lineage import Direction, Lineage


@click.command(short_help="Show what a version was made from, and what was made from it.")
@click.argument("ref", required=False, shell_complete=complete_model)
@click.option("--dataset", metavar="DIGEST", help="Begin at a dataset, by its digest as it was recorded.")
@click.option("--up", is_flag=True, help="Only what it was made from.")
@click.option("--down", is_flag=True, help="Only what was made from it.")
@click.option("--depth", metavar="N", type=click.IntRange(1, 10_000), help="At most N generations each way.")
@click.option("--dot", is_flag=True, help="Print a graph for Graphviz.")
@global_options
@pass_options
def lineage(
    options: GlobalOptions, ref: str | None, dataset: str | None, up: bool, down: bool, depth: int | None, dot: bool
) -> None:
    """Show what the version REF was made from and what was made from it, deleted versions included.

    With --dataset: which versions were made from the data with this digest, and what descends from them.

    \b
    Examples:
      weighbridge lineage fraud.tabular.transformer:7
      weighbridge lineage fraud.tabular.transformer --up --depth 2
      weighbridge lineage --dataset sha256:9f86d081… -q
      weighbridge lineage fraud.tabular.transformer --dot | dot -Tsvg > it.svg
    """
    if (ref is None) == (dataset is None):
        raise click.UsageError("name a version, or a dataset with --dataset DIGEST")
    if dataset is not None and up:
        raise click.UsageError("nothing is above a dataset: --up does not go with --dataset")
    if dot and options.json:
        raise click.UsageError("--dot and --json are two forms of the same; choose one")
    direction: Direction = "both" if up == down else "up" if up else "down"
    with options.connect() as client:
        found = client.lineage(ref, dataset_digest=dataset, direction=direction, depth=depth or 0)
    if options.json:
        print_json(_document(found, dataset))
        return
    if dot:
        for line in dot_lines(found, marked=dataset is None):
            click.echo(line)
    elif options.quiet:
        for node in found.nodes:
            click.echo(visible(node.version.ref))
    else:
        print_tree(found, direction, dataset)
    if found.truncated:
        click.echo(f"there is more: these are the nearest {counted(len(found.nodes), 'version')}", err=True)


def _document(found: Lineage, dataset: str | None) -> dict[str, Any]:
    return {
        "origin": found.nodes[0].version.ref if dataset is None else None,
        "dataset_digest": dataset,
        "nodes": [
            {
                **version_document(node.version),
                "generation": node.generation,
                "datasets": [vars(data) for data in node.datasets],
            }
            for node in found.nodes
        ],
        "edges": [{"child": edge.child, "parent": edge.parent, "relation": str(edge.relation)} for edge in found.edges],
        "truncated": found.truncated,
    }
