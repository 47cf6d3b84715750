"""git as it is for everybody: without this user's settings."""

from __future__ import annotations

from pathlib import Path


def git_environment(folder: Path) -> dict[str, str]:
    """What git's environment needs for that; ``folder`` stands for the user's home."""
    somebody = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**somebody, "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
