"""``compare``: how versions differ, and why a metric may have got worse."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from weighbridge.cli.comparison_document import comparison_document
from weighbridge.cli.comparison_tables import print_comparison
from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts
from weighbridge.cli.text import visible
from weighbridge.client import Client
from weighbridge.core.comparison import Comparison
from weighbridge.core.errors import DestinationUnwritable
from weighbridge.whole_file import whole_file

_STANDARD_OUTPUT = "-"


@click.command(short_help="Say how versions differ, and why one may be worse.")
@click.argument("refs", metavar="REF REF [REF]...", nargs=-1, required=True, shell_complete=complete_model)
@click.option("--lower", metavar="METRIC", multiple=True, help="Less of it is better, whatever its name suggests.")
@click.option("--higher", metavar="METRIC", multiple=True, help="More of it is better.")
@click.option("--all", "everything", is_flag=True, help="Show what does not differ, too.")
@click.option("--html", metavar="FILE", help="Write a page with tables and curves to FILE; - is standard output.")
@global_options
@pass_options
def compare(
    options: GlobalOptions,
    refs: tuple[str, ...],
    lower: tuple[str, ...],
    higher: tuple[str, ...],
    everything: bool,
    html: str | None,
) -> None:
    """Compare two to sixteen versions, each with the first: metrics, parameters, data, code, environment, files.

    When a metric got worse, the suspects are named: what changed between the two, the likeliest first. Whether
    less of a metric is better is read from its name (loss, error, latency, …), or said with --lower and --higher;
    books such as learning_rate and epoch are neither better nor worse. With --quiet, only the versions in which a
    metric is worse.

    \b
    Examples:
      weighbridge compare fraud.tabular.transformer:6 fraud.tabular.transformer:7
      weighbridge compare fraud.tabular.trees@production fraud.tabular.trees
      weighbridge compare fraud.tabular.trees:6 fraud.tabular.trees --html it.html
      weighbridge compare a.b.c:1 a.b.c:2 --json | jq '.suspects'
    """
    if html == _STANDARD_OUTPUT and options.json:
        raise click.UsageError("--html - and --json both write to standard output; give the page a file")
    if html not in (None, _STANDARD_OUTPUT):
        _check_place(Path(html or ""))
    with options.connect() as client:
        comparison = client.compare(*refs, lower_is_better=lower, higher_is_better=higher)
        page = None if html is None else _page(client, comparison)
    _warn_of_unknown(comparison, [*lower, *higher])
    if page is not None and html == _STANDARD_OUTPUT:
        sys.stdout.write(page)
        return
    if page is not None:
        with whole_file(Path(html or "")) as file:
            file.write(page)
    if options.json:
        print_json(comparison_document(comparison))
    elif options.quiet:
        for place in sorted({suspects.version_index for suspects in comparison.suspects}):
            click.echo(visible(comparison.versions[place].ref))
    elif page is not None:
        compared = ", ".join(version.ref for version in comparison.versions)
        print_facts(f"compared in {html}", [("versions", compared)])
    else:
        print_comparison(comparison, everything=everything)


def _page(client: Client, comparison: Comparison) -> str:
    from weighbridge.report.curves import charted, points_per_curve  # a page is seldom asked for
    from weighbridge.report.page import comparison_page

    names, most = charted(comparison), points_per_curve(comparison)
    # Pinned references: an alias may have moved meanwhile. Without names every curve would come.
    curves = [client.metrics(version.ref, names, most) if names else {} for version in comparison.versions]
    return comparison_page(comparison, curves, client.server)


def _check_place(path: Path) -> None:
    """Before anything is asked for: where the page goes must be there."""
    if path.is_dir():
        raise DestinationUnwritable(f"{path} is a folder; name a file, such as {path / 'comparison.html'}")
    if not path.parent.is_dir():
        raise DestinationUnwritable(f"{path} cannot be written: there is no folder {path.parent}; make it first")


def _warn_of_unknown(comparison: Comparison, names: list[str]) -> None:
    """A slip in a name would otherwise say nothing and change nothing."""
    known = {metric.name for metric in comparison.metrics}
    for name in names:
        if name not in known and not comparison.metrics_left_out:
            click.echo(f"note: none of these versions has a metric {visible(repr(name))}", err=True)
