"""The program ``weighbridge``: its verbs, and how it ends.

Exit codes: 0 done; 1 refused or failed; 2 what the option parser refuses; 3 a check found something.
"""

from __future__ import annotations

import errno
import io
import os
import sys

import click

from weighbridge.cli.completion import COMPLETE_VAR, PROGRAM, silence_completion
from weighbridge.cli.options import GlobalOptions, global_options
from weighbridge.cli.render import print_error
from weighbridge.cli.text import prepare_streams, visible
from weighbridge.cli.verbs import Verbs
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.release import __version__
from weighbridge.process import prepare_process

_REFUSED = 1
_INTERRUPTED = 130


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    epilog="'weighbridge VERB --help' has examples. 'weighbridge completion --help' says how a shell completes them.",
)
@click.version_option(__version__, prog_name=PROGRAM)
@global_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Weighbridge: a model registry that carries the weights.

    \b
    Examples:
      weighbridge serve
      weighbridge push fraud.tabular.transformer checkpoint/
      weighbridge pull fraud.tabular.transformer:7 models/
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Runs the program and exits."""
    prepare_process()
    silence_completion()
    prepare_streams()
    options = GlobalOptions()
    try:
        code = cli.main(prog_name=PROGRAM, complete_var=COMPLETE_VAR, obj=options, standalone_mode=False)
        sys.stdout.flush()
    except WeighbridgeError as error:
        print_error(error, as_json=options.json)
        code = _REFUSED
    except click.ClickException as refusal:
        _show(refusal)
        code = refusal.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        # Not sys.exit: it would wait for threads that wait for a server, when a person wants to be gone.
        os._exit(_INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        _abandon_output()
        code = _REFUSED
    except OSError as fault:
        if fault.errno != errno.ENOSPC:
            raise
        _abandon_output()
        click.echo("error: OUTPUT: the output cannot be written: the disk is full", err=True)
        code = _REFUSED
    sys.exit(code or 0)


def _show(refusal: click.ClickException) -> None:
    """Click's own lines; they quote what was typed, which may be anything."""
    said = io.StringIO()
    refusal.show(said)
    for line in said.getvalue().removesuffix("\n").split("\n"):
        click.echo(visible(line), err=True)


def _abandon_output() -> None:
    """What is still buffered goes nowhere: else the interpreter's end would fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
