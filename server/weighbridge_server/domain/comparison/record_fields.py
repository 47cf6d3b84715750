"""The parts of a record as named values. What is not said is not there; a part that was not recorded is None."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable

from weighbridge.core.values import (
    ENVIRONMENT_TEXTS,
    SOURCE_TEXTS,
    Accelerator,
    Dataset,
    Environment,
    Record,
    Scalar,
    TensorSpec,
)
from weighbridge_server.domain.comparison.fields import Fields


def dataset_name(dataset: Dataset) -> str:
    """``transactions (train)``."""
    return f"{dataset.name} ({dataset.role})" if dataset.role else dataset.name


def dataset_text(dataset: Dataset) -> str:
    """Version, digest and URI, as far as they are said."""
    return " ".join(filter(None, (dataset.version, dataset.digest, dataset.uri)))


def dataset_fields(record: Record) -> Fields:
    """Datasets."""
    return _joined((dataset_name(dataset), dataset_text(dataset)) for dataset in record.datasets)


def parent_fields(record: Record) -> Fields:
    """Parents."""
    return _joined((parent.ref, str(parent.relation)) for parent in record.parents)


def source_fields(record: Record) -> Fields | None:
    """The code."""
    source = record.source
    if source is None:
        return None
    fields: dict[str, Scalar] = {name: getattr(source, name) for name in SOURCE_TEXTS if getattr(source, name)}
    if source.commit or source.dirty:
        fields["dirty"] = source.dirty
    if source.command:
        fields["command"] = shlex.join(source.command)
    return fields


def environment_fields(record: Record) -> Fields | None:
    """The environment, but for its packages."""
    environment = record.environment
    if environment is None:
        return None
    fields: dict[str, Scalar] = {
        name: getattr(environment, name) for name in ENVIRONMENT_TEXTS if getattr(environment, name)
    }
    if environment.cpu_count:
        fields["cpu_count"] = environment.cpu_count
    if environment.accelerators:
        fields["accelerators"] = _devices(environment)
    if environment.packages_left_out:
        fields["packages_left_out"] = environment.packages_left_out
    return fields


def package_fields(record: Record) -> Fields | None:
    """Packages; a machine with Python has some, so none at all were not recorded."""
    return None if record.environment is None or not record.environment.packages else record.environment.packages


def energy_fields(record: Record) -> Fields | None:
    """Energy."""
    energy = record.energy
    if energy is None:
        return None
    members = {"kwh": energy.kwh, "gco2e": energy.gco2e, "region": energy.region, "method": energy.method}
    return {name: value for name, value in members.items() if value is not None and value != ""}


def signature_fields(record: Record) -> Fields | None:
    """Inputs and outputs."""
    signature = record.signature
    if signature is None:
        return None
    sides = [("input", spec) for spec in signature.inputs] + [("output", spec) for spec in signature.outputs]
    return _joined((f"{side} {spec.name}", _tensor(spec)) for side, spec in sides)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, Scalar]:
    """What has one name is one value."""
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    return {name: "; ".join(sorted(values)) for name, values in texts.items()}


def _devices(environment: Environment) -> str:
    counts: Counter[Accelerator] = Counter(environment.accelerators)
    return "; ".join(f"{count} x {_device(device)}" for device, count in counts.items())


def _device(device: Accelerator) -> str:
    memory = f"{device.memory_bytes / 1e9:.1f} GB" if device.memory_bytes else ""
    return ", ".join(filter(None, (device.name, memory, device.driver and f"driver {device.driver}")))


def _tensor(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join(map(str, spec.shape))}]".strip()
