"""``models``, ``versions``, ``show`` and ``resolve``: the verbs that look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.deployments import deployment_document
from weighbridge.cli.documents import model_document, print_json, record_document, version_document
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.record_facts import record_facts
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import counted, moment, size
from weighbridge.core.deployments import Deployment
from weighbridge.core.digest import format_digest
from weighbridge.core.manifest import FileSummary
from weighbridge.core.values import MetricSummary, Scalar, Version

_MOST_NODES = 10
"""So many nodes that run a version ``show`` names."""


@click.command(short_help="List the registered models.")
@click.option("--deleted", is_flag=True, help="List those that were deleted instead, and can be restored.")
@global_options
@pass_options
def models(options: GlobalOptions, deleted: bool) -> None:
    """List the registered models, in order of name.

    \b
    Examples:
      weighbridge models
      weighbridge models -q     # names alone
      weighbridge models --json | jq -r '.models[].name'
      weighbridge models --deleted
    """
    with options.connect() as client:
        found = list(client.models(deleted=deleted))
    if options.json:
        print_json({"models": [model_document(model) for model in found]})
    elif options.quiet:
        _print_each(model.name for model in found)
    elif not found:
        click.echo("no deleted models" if deleted else "no models yet; 'weighbridge push MODEL PATH' registers one")
    elif deleted:
        print_table(
            ["MODEL", "VERSIONS", "OWNER", "DELETED", "BY", "REASON"],
            [
                [
                    model.name,
                    str(model.latest_version),
                    model.owner,
                    moment(model.deletion.time),
                    model.deletion.actor,
                    model.deletion.reason,
                ]
                for model in found
                if model.deletion is not None
            ],
            right=["VERSIONS"],
            clipped=["REASON"],
        )
    else:
        print_table(
            ["MODEL", "VERSIONS", "OWNER", "CREATED", "DESCRIPTION"],
            [
                [model.name, str(model.latest_version), model.owner, moment(model.created_time), model.description]
                for model in found
            ],
            right=["VERSIONS"],
            clipped=["DESCRIPTION"],
        )


@click.command(short_help="List the versions of a model.")
@click.argument("model", shell_complete=complete_model)
@click.option("--deleted", is_flag=True, help="List those that were deleted instead.")
@global_options
@pass_options
def versions(options: GlobalOptions, model: str, deleted: bool) -> None:
    """List the versions of MODEL, newest first.

    \b
    Examples:
      weighbridge versions fraud.tabular.transformer
      weighbridge versions -q fraud.tabular.transformer     # references alone
      weighbridge versions fraud.tabular.transformer --deleted
    """
    with options.connect() as client:
        found = list(client.versions(model, deleted=deleted))
    if options.json:
        print_json({"versions": [version_document(version) for version in found]})
    elif options.quiet:
        _print_each(version.ref for version in found)
    elif not found and deleted:
        click.echo("no deleted versions")
    elif deleted:
        print_table(
            ["VERSION", "SIZE", "CREATED", "DELETED", "BY", "PURGED", "REASON"],
            [
                [
                    version.ref,
                    size(version.bytes_total),
                    moment(version.created_time),
                    moment(version.deletion.time),
                    version.deletion.actor,
                    "" if version.purged_time is None else moment(version.purged_time),
                    version.deletion.reason,
                ]
                for version in found
                if version.deletion is not None
            ],
            right=["SIZE"],
            under="REASON",
        )
    elif not found:
        click.echo(f"no versions yet; 'weighbridge push {visible(model)} PATH' makes one")
    else:
        print_table(
            ["VERSION", "STAGE", "ALIASES", "SIZE", "FILES", "CREATED", "BY", "MANIFEST"],
            [
                [
                    version.ref,
                    str(version.stage),
                    _other_aliases(version),
                    size(version.bytes_total),
                    str(version.files_total),
                    moment(version.created_time),
                    version.creator,
                    format_digest(version.manifest)[:19] + "…",
                ]
                for version in found
            ],
            right=["SIZE", "FILES"],
        )


@click.command(short_help="Show everything that a version records.")
@click.argument("ref", shell_complete=complete_model)
@global_options
@pass_options
def show(options: GlobalOptions, ref: str) -> None:
    """Show everything that a version records.

    REF is name (the latest), name:7, name@alias or name#b3:<digest>.

    \b
    Examples:
      weighbridge show fraud.tabular.transformer
      weighbridge show fraud.tabular.transformer:7 --json | jq .params
    """
    with options.connect() as client:
        version = client.version(ref)
        files = list(client.files(version.ref))
        nodes = list(client.deployments(ref=version.ref))
    if options.json:
        print_json({**record_document(version, files), "deployments": list(map(deployment_document, nodes))})
    elif options.quiet:
        _print_each([version.ref])
    else:
        print_facts(version.ref, [(name, value) for name, value in _facts(version, files, nodes) if value])


@click.command(short_help="Say which version a reference stands for.")
@click.argument("ref", shell_complete=complete_model)
@global_options
@pass_options
def resolve(options: GlobalOptions, ref: str) -> None:
    """Say which version REF stands for now.

    \b
    Examples:
      weighbridge resolve fraud.tabular.transformer
      ref=$(weighbridge resolve -q fraud.tabular.transformer)
    """
    with options.connect() as client:
        resolved = client.resolve(ref)
    if options.json:
        print_json(
            {
                "model": resolved.model,
                "version": resolved.version,
                "ref": resolved.ref,
                "manifest_digest": format_digest(resolved.manifest),
                "revision": resolved.revision,
            }
        )
    elif options.quiet:
        _print_each([resolved.ref])
    else:
        print_facts(
            resolved.ref,
            [("manifest", format_digest(resolved.manifest)), ("revision", str(resolved.revision))],
        )


def _print_each(names: Iterable[str]) -> None:
    for name in names:
        click.echo(visible(name))


def _other_aliases(version: Version) -> str:
    """Those that its stage does not say."""
    return ", ".join(alias for alias in version.aliases if alias != version.stage)


def _facts(version: Version, files: Iterable[FileSummary], nodes: Sequence[Deployment]) -> list[tuple[str, str]]:
    record = version.record
    assert record is not None, "a version that was asked for by itself comes with its record"
    facts = [
        ("stage", str(version.stage)),
        ("aliases", _other_aliases(version)),
        ("runs on", _nodes(nodes)),
        ("created", f"{moment(version.created_time)} by {version.creator}"),
        ("manifest", format_digest(version.manifest)),
        ("schema", f"{version.schema.prefix}, revision {version.schema.revision}" if version.schema else ""),
        ("description", record.description),
    ]
    facts += [(f"param {name}", _scalar(value)) for name, value in record.params.items()]
    facts += [(f"tag {name}", _scalar(value)) for name, value in record.tags.items()]
    facts += [(f"metric {metric.name}", _metric(metric)) for metric in version.metrics or ()]
    for dataset in record.datasets:
        said = (dataset.version, dataset.role, dataset.digest, dataset.uri)
        facts.append((f"dataset {dataset.name}", " ".join(filter(None, said))))
    facts += [(f"parent {parent.ref}", str(parent.relation)) for parent in record.parents]
    facts += record_facts(record)
    facts += [(f"file {file.path}", size(file.size_bytes)) for file in files]
    return facts


def _scalar(value: Scalar) -> str:
    """As a person gives it; an empty text is seen."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else '""'


def _nodes(nodes: Sequence[Deployment]) -> str:
    named = [node.node if node.live else f"{node.node} (silent)" for node in nodes[:_MOST_NODES]]
    if len(nodes) > _MOST_NODES:
        named.append(f"{len(nodes) - _MOST_NODES} more, which 'weighbridge deployments {nodes[0].ref}' lists")
    return ", ".join(named)


def _metric(metric: MetricSummary) -> str:
    between = f" from {metric.min:g} to {metric.max:g}" if metric.points > 1 else ""
    return f"{metric.latest:g} at step {metric.step}, {counted(metric.points, 'point')}{between}"
