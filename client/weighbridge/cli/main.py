"""The program ``weighbridge``: its verbs, and how it ends.

Exit codes: 0 done; 1 refused or failed; 2 what the option parser refuses; 3 a check found something.
"""

from __future__ import annotations

import os
import sys

import click

from weighbridge.cli import registry, transfer
from weighbridge.cli.options import GlobalOptions, global_options
from weighbridge.cli.render import print_error
from weighbridge.cli.serve import serve
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.release import __version__

_REFUSED = 1
_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="weighbridge")
@global_options
def cli() -> None:
    """Weighbridge: a model registry that carries the weights."""


for _verb in (
    serve,
    transfer.push,
    transfer.pull,
    transfer.verify,
    registry.models,
    registry.versions,
    registry.show,
    registry.resolve,
):
    cli.add_command(_verb)


def main() -> None:
    """Runs the program and exits."""
    options = GlobalOptions()
    try:
        code = cli.main(obj=options, standalone_mode=False)
        sys.stdout.flush()
    except WeighbridgeError as error:
        print_error(error, as_json=options.json)
        code = _REFUSED
    except click.ClickException as refusal:
        refusal.show()
        code = refusal.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = _INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _REFUSED
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
