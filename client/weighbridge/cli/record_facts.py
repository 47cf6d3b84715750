"""Source, environment, energy and signature of a version as the lines that ``show`` prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from weighbridge.cli.units import size
from weighbridge.core.values import Accelerator, Energy, Environment, Record, SourceCode, TensorSpec

_COMMIT_CHARS = 12
_DIGEST_CHARS = 19
_BARE = re.compile(r"[\w@%+=:,./\[\]-]+")


def record_facts(record: Record) -> list[tuple[str, str]]:
    """Names and values; of a part that was not recorded nothing."""
    facts: list[tuple[str, str]] = []
    if record.source is not None:
        facts += _source(record.source)
    if record.environment is not None:
        facts += _environment(record.environment)
    if record.energy is not None:
        facts.append(("energy", _energy(record.energy)))
    if record.signature is not None:
        facts += [(f"input {spec.name}", _tensor(spec)) for spec in record.signature.inputs]
        facts += [(f"output {spec.name}", _tensor(spec)) for spec in record.signature.outputs]
    return facts


def _source(source: SourceCode) -> Iterator[tuple[str, str]]:
    commit = source.commit[:_COMMIT_CHARS] and f"commit {source.commit[:_COMMIT_CHARS]}"
    branch = source.branch and f"branch {source.branch}"
    differs = _listed(
        [
            f"tracked files changed ({_short(source.diff_digest)})" if source.diff_digest else "",
            f"untracked files ({_short(source.untracked_digest)})" if source.untracked_digest else "",
        ]
    )
    yield "source", _listed([source.repository, commit, branch])
    yield "changes", differs or ("yes" if source.dirty else "none" if source.commit else "")
    yield "entry point", source.entry_point
    yield "command", " ".join(map(_quoted, source.command))


def _environment(environment: Environment) -> Iterator[tuple[str, str]]:
    left_out = environment.packages_left_out
    more = f" and {left_out} that there was no room for" if left_out else ""
    python = f"{environment.implementation or 'Python'} {environment.python}" if environment.python else ""
    processors = f"{environment.cpu_count} x {environment.cpu or 'CPU'}" if environment.cpu_count else environment.cpu
    yield "environment", _listed([python, environment.os, environment.platform])
    yield "processors", processors
    yield "accelerators", _listed(_devices(environment.accelerators))
    yield "image", environment.container_image
    yield "packages", f"{len(environment.packages)}{more}" if environment.packages or left_out else ""
    yield "lock file", _listed([environment.lock_file, _short(environment.lock_digest)])
    yield "host", _listed([environment.host, environment.user and f"user {environment.user}"])


def _devices(devices: Iterable[Accelerator]) -> Iterator[str]:
    """Equal ones together."""
    counts: dict[Accelerator, int] = {}
    for device in devices:
        counts[device] = counts.get(device, 0) + 1
    for device, count in counts.items():
        memory = size(device.memory_bytes) if device.memory_bytes else ""
        yield " ".join(filter(None, [f"{count} x {device.name}", memory, device.driver and f"driver {device.driver}"]))


def _energy(energy: Energy) -> str:
    kwh = "" if energy.kwh is None else f"{energy.kwh:g} kWh"
    gco2e = "" if energy.gco2e is None else f"{energy.gco2e:g} gCO2e"
    return _listed([kwh, gco2e, energy.region, energy.method])


def _tensor(spec: TensorSpec) -> str:
    return f"{spec.dtype} {_shape(spec.shape)}".strip()


def _shape(shape: Sequence[int]) -> str:
    """``[?, 512]``: a free dimension is a question mark."""
    return f"[{', '.join('?' if length == -1 else str(length) for length in shape)}]"


def _quoted(argument: str) -> str:
    """As for a shell; letters of any script need no quotes."""
    return argument if _BARE.fullmatch(argument) else shlex.quote(argument)


def _short(digest: str) -> str:
    return digest and digest[:_DIGEST_CHARS] + "…"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(filter(None, parts))
