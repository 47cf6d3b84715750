"""``serve``: the one verb that needs the server's parts."""

from __future__ import annotations

from pathlib import Path

import click

from weighbridge.cli.completion import complete_folder
from weighbridge.cli.options import global_options
from weighbridge.core.errors import StartupFailed


@click.command(short_help="Run a server.")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 picks a free one.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    shell_complete=complete_folder,
    help="The data directory.",
)
@click.option("--database", metavar="URL", help="Your own PostgreSQL in place of the embedded one.")
@click.option(
    "--auth/--no-auth",
    default=None,
    help="Ask every call for a token, and what it may do; by default anybody may do anything.",
)
@click.option(
    "--purge-after-days",
    metavar="DAYS",
    type=float,
    help="How long deleted versions can be restored, by default 30 days; 0: always.",
)
@click.option(
    "--default-schema/--no-default-schema",
    default=None,
    help="Whether a version must have the four tags that the shipped schema asks for; by default it must.",
)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings as TOML.")
@global_options
def serve(
    listen: str | None,
    data: Path | None,
    database: str | None,
    auth: bool | None,
    purge_after_days: float | None,
    default_schema: bool | None,
    config: Path | None,
) -> None:
    """Run a server until SIGTERM or Ctrl-C.

    Prints one line, ready HOST:PORT, once calls succeed. A flag wins over its environment variable
    (WEIGHBRIDGE_LISTEN, WEIGHBRIDGE_DATA, …), and that over its key in the TOML file. The README lists the
    settings that have no flag.

    The first start with --auth writes the token of the principal admin to admin.token in the data directory.

    \b
    Examples:
      weighbridge serve
      weighbridge serve --listen 0.0.0.0:8420 --data /srv/weighbridge
      weighbridge serve --auth
      weighbridge serve --database postgresql://weighbridge@db.example/weighbridge
    """
    try:
        from weighbridge_server import serve as runner
        from weighbridge_server import settings
    except ModuleNotFoundError as fault:
        raise StartupFailed(
            f"the server's parts are not installed ({fault.name} is missing): pip install 'weighbridge[server]'"
        ) from fault
    given = {
        "listen": listen,
        "data": data,
        "database": database,
        "auth": auth,
        "purge_after_days": purge_after_days,
        "default_schema": default_schema,
    }
    flags = {name: value for name, value in given.items() if value is not None}
    runner.serve(settings.load(flags, config), lambda address: click.echo(f"ready {address}"))
