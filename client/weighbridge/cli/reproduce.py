"""``reproduce``: the recipe of a version, and whether it could be followed here."""

from __future__ import annotations

import re

import click
from rich.cells import cell_len

from weighbridge.cli.completion import complete_folder, complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import console, print_facts
from weighbridge.cli.text import visible
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import counted
from weighbridge.core.errors import UsageError
from weighbridge.recipe.findings import EnvironmentCheck, EnvironmentDifference
from weighbridge.recipe.recipe import Recipe

_INDENT = 4
"""Around the names that ``print_facts`` puts before the values."""
_DIGEST = re.compile(r"\b(b3:[0-9a-f]{16})[0-9a-f]{48}\b")


@click.command(short_help="Write down how a version was made, or check this environment.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("dest", required=False, type=click.Path(), shell_complete=complete_folder)
@click.option("--check", is_flag=True, help="Write nothing; compare this environment with the recorded one.")
@click.option("--force", is_flag=True, help="Write into DEST though it holds something; replace files of these names.")
@global_options
@click.pass_context
@pass_options
def reproduce(
    options: GlobalOptions, context: click.Context, ref: str, dest: str | None, check: bool, force: bool
) -> None:
    """Write the recipe of REF into the folder DEST: what to do, step by step, to make it again.

    DEST is made if absent; by default it is reproduce-MODEL-NUMBER. It gets README.md for people, recipe.json for
    programs, requirements.txt, params.json, datasets.json and run.sh. In a clone that has the recorded commit, the
    lock file is copied too, after its digest was checked. What the record cannot give back is said.

    With --check, nothing is written: the commit, submodules, uncommitted changes, lock file, Python, packages and
    machine here are compared with those recorded. Exits with 3 when something differs, and names it with what to do
    about it.

    \b
    Examples:
      weighbridge reproduce fraud.tabular.transformer:7
      weighbridge reproduce fraud.tabular.transformer@production again/
      weighbridge reproduce fraud.tabular.transformer:7 --check
    """
    if check and (dest is not None or force):
        raise UsageError("--check writes nothing; leave DEST and --force out")
    with options.connect() as client:
        if not check:
            recipe = client.recipe(ref)
        else:
            found = client.check_environment(ref)
    if check:
        _print_check(found, options)
        if not found.same:
            context.exit(FOUND_SOMETHING)
    else:
        _write(recipe, dest, options, force=force)


def _write(recipe: Recipe, dest: str | None, options: GlobalOptions, *, force: bool) -> None:
    folder = recipe.write(dest, force=force)
    files = sorted(name for name in recipe.contents() if not name.startswith("."))
    if options.json:
        print_json({"ref": recipe.ref, "path": str(folder), "files": files, "gaps": recipe.gaps})
    elif options.quiet:
        click.echo(visible(str(folder)))
    else:
        source = recipe.record.source
        commit = source.commit[:12] if source is not None else ""
        print_facts(
            f"how {recipe.ref} was made, in {folder}",
            [
                ("files", "\n".join(files)),
                ("code", f"commit {commit}" if commit else "no commit was recorded"),
                ("begin with", f"{folder / 'README.md'}, which says what the record cannot give back"),
            ],
        )


def _print_check(found: EnvironmentCheck, options: GlobalOptions) -> None:
    if options.json:
        print_json(
            {
                "ref": found.ref,
                "same": found.same,
                "differences": [vars(difference) for difference in found.differences],
                "notes": list(found.notes),
            }
        )
        return
    if found.same:
        title = f"this environment is as that of {found.ref}"
    else:
        title = f"this environment is not that of {found.ref}: {counted(len(found.differences), 'difference')}"
    width = console().width - max((len(difference.what) for difference in found.differences), default=0) - _INDENT
    facts = [(difference.what, _difference(difference, width)) for difference in found.differences]
    if not options.quiet:
        facts += [("note", note) for note in found.notes]
    if not (options.quiet and found.same):
        print_facts(title, facts)


def _difference(difference: EnvironmentDifference, width: int) -> str:
    """On one line where it fits. A command is not broken: a terminal wraps it, and it can be copied whole."""
    recorded, present = (_short(text) or "none" for text in (difference.recorded, difference.present))
    line = f"{recorded} was recorded, {present} is here: {difference.fix}"
    if cell_len(line) <= width:
        return line
    return f"recorded {recorded}\nhere     {present}\nto do    {difference.fix}"


def _short(text: str) -> str:
    return _DIGEST.sub(lambda match: match[1] + "…", text)
