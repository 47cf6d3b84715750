"""``search``: versions by what they record."""

from __future__ import annotations

from collections.abc import Sequence

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json, version_document
from weighbridge.cli.expression_error import print_expression_error
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import moment, size
from weighbridge.core.errors import InvalidExpression
from weighbridge.core.values import Version

_REFUSED = 1


@click.command(short_help="Find versions by what they record.")
@click.argument("condition", metavar="FILTER", default="")
@click.option("--order-by", default="", metavar="KEYS", help="Such as 'metrics.accuracy desc'; by default the newest.")
@click.option("--model", default="", metavar="NAME", shell_complete=complete_model, help="Only versions of this model.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric to show; as often as needed.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--deleted", is_flag=True, help="Those that were deleted instead.")
@global_options
@pass_options
@click.pass_context
def search(
    context: click.Context,
    options: GlobalOptions,
    condition: str,
    order_by: str,
    model: str,
    metrics: Sequence[str],
    limit: int | None,
    deleted: bool,
) -> None:
    """Find the versions that FILTER holds for, over all models.

    FILTER is an expression in CEL. It can name model, version, ref, stage, aliases, creator, created_time,
    description, tags.NAME, params.NAME, metrics.NAME (and its .min, .max, .step, .points), energy.kwh,
    energy.gco2e, datasets, parents, source.commit, source.branch, source.dirty, environment.python,
    environment.packages["NAME"] and more; a name that is no plain word is written tags["cost center"]. What a
    version lacks fulfils no comparison; has(tags.x) says whether it is there.

    \b
    Examples:
      weighbridge search 'metrics.auc > 0.9 && tags.hardware_target == "gpu"'
      weighbridge search 'created_time < timestamp("2026-01-01")'
      weighbridge search 'datasets.exists(d, d.name == "transactions")'
      weighbridge search 'environment.packages["torch"].startsWith("2.1.")' -q
      weighbridge search --order-by 'metrics.auc / energy.gco2e desc' --limit 10
    """
    try:
        with options.connect() as client:
            found = list(
                client.search(
                    condition, order_by=order_by, model=model, deleted=deleted, show_metrics=metrics, limit=limit
                )
            )
    except InvalidExpression as error:
        if options.json:
            raise
        print_expression_error(error, {"filter": condition, "order_by": order_by})
        context.exit(_REFUSED)
    shown = _names(found, metrics)
    if options.json:
        print_json({"versions": [_document(version, shown=bool(shown)) for version in found]})
    elif options.quiet:
        for version in found:
            click.echo(visible(version.ref))
    elif not found:
        click.echo("no version fulfils it")
    else:
        _print_versions(found, shown)


def _names(found: Sequence[Version], asked: Sequence[str]) -> list[str]:
    """The metrics that were asked for, and those that the server shows because they are sorted by."""
    others = sorted({metric.name for version in found for metric in version.metrics or ()})
    return list(dict.fromkeys([*asked, *others]))


def _document(version: Version, *, shown: bool) -> dict[str, object]:
    document = version_document(version)
    if shown:
        document["metrics"] = {metric.name: metric.latest for metric in version.metrics or ()}
    return document


def _print_versions(found: Sequence[Version], metrics: Sequence[str]) -> None:
    rows = []
    for version in found:
        latest = {metric.name: f"{metric.latest:g}" for metric in version.metrics or ()}
        rows.append(
            [
                version.ref,
                *(latest.get(name, "") for name in metrics),
                str(version.stage),
                moment(version.created_time),
                version.creator,
                size(version.bytes_total),
            ]
        )
    columns = ["VERSION", *map(visible, metrics), "STAGE", "CREATED", "BY", "SIZE"]
    print_table(columns, rows, right=[*map(visible, metrics), "SIZE"])
