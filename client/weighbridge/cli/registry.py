"""``models``, ``versions``, ``show`` and ``resolve``: the verbs that look."""

from __future__ import annotations

import click

from weighbridge.cli import render
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.core.digest import format_digest


@click.command()
@global_options
@pass_options
def models(options: GlobalOptions) -> None:
    """List the registered models."""
    with options.connect() as client:
        found = list(client.models())
    if options.json:
        render.print_json({"models": [render.model_document(model) for model in found]})
    elif not found:
        click.echo("no models yet; 'weighbridge push MODEL PATH' registers one")
    else:
        render.print_table(
            ["MODEL", "VERSIONS", "OWNER", "CREATED", "DESCRIPTION"],
            [
                [
                    model.name,
                    str(model.latest_version),
                    model.owner,
                    render.moment(model.created_time),
                    model.description,
                ]
                for model in found
            ],
            right=["VERSIONS"],
        )


@click.command()
@click.argument("model")
@global_options
@pass_options
def versions(options: GlobalOptions, model: str) -> None:
    """List the versions of MODEL, newest first."""
    with options.connect() as client:
        found = list(client.versions(model))
    if options.json:
        render.print_json({"versions": [render.version_document(version) for version in found]})
    elif not found:
        click.echo(f"no versions yet; 'weighbridge push {model} PATH' makes one")
    else:
        render.print_table(
            ["VERSION", "STAGE", "SIZE", "FILES", "CREATED", "BY", "MANIFEST"],
            [
                [
                    version.ref,
                    str(version.stage),
                    render.size(version.bytes_total),
                    str(version.files_total),
                    render.moment(version.created_time),
                    version.creator,
                    format_digest(version.manifest)[:19] + "…",
                ]
                for version in found
            ],
            right=["SIZE", "FILES"],
        )


@click.command()
@click.argument("ref")
@global_options
@pass_options
def show(options: GlobalOptions, ref: str) -> None:
    """Show everything that a version records.

    REF is name (the latest), name:7, name@alias or name#b3:<digest>.
    """
    with options.connect() as client:
        version = client.version(ref)
        files = list(client.files(version.ref))
    if options.json:
        render.print_json(render.record_document(version, files))
        return
    record = version.record
    assert record is not None, "a version that was asked for by itself comes with its record"
    facts = [
        ("stage", str(version.stage)),
        ("created", f"{render.moment(version.created_time)} by {version.creator}"),
        ("manifest", format_digest(version.manifest)),
        ("description", record.description),
    ]
    facts += [(f"param {name}", str(value)) for name, value in record.params.items()]
    facts += [(f"tag {name}", str(value)) for name, value in record.tags.items()]
    facts += [
        (f"metric {metric.name}", f"{metric.latest:g} at step {metric.step}, {metric.points} points")
        for metric in version.metrics or ()
    ]
    facts += [
        (
            f"dataset {dataset.name}",
            " ".join(filter(None, (dataset.version, dataset.role, dataset.digest, dataset.uri))),
        )
        for dataset in record.datasets
    ]
    facts += [(f"parent {parent.ref}", str(parent.relation)) for parent in record.parents]
    facts += [(f"file {file.path}", render.size(file.size_bytes)) for file in files]
    render.print_facts(version.ref, [(name, value) for name, value in facts if value])


@click.command()
@click.argument("ref")
@global_options
@pass_options
def resolve(options: GlobalOptions, ref: str) -> None:
    """Say which version REF stands for now."""
    with options.connect() as client:
        resolved = client.resolve(ref)
    if options.json:
        render.print_json(
            {
                "model": resolved.model,
                "version": resolved.version,
                "ref": resolved.ref,
                "manifest_digest": format_digest(resolved.manifest),
                "revision": resolved.revision,
            }
        )
        return
    render.print_facts(
        resolved.ref,
        [("manifest", format_digest(resolved.manifest)), ("revision", str(resolved.revision))],
    )
