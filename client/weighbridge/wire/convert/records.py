"""What a version records."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core import values
from weighbridge.core.errors import Unimplemented
from weighbridge.v1 import records_pb2
from weighbridge.wire.convert.common import time_message, time_value

_RELATIONS: Mapping[values.Relation, records_pb2.Relation.ValueType] = {
    values.Relation.FINE_TUNED: records_pb2.RELATION_FINE_TUNED,
    values.Relation.DISTILLED: records_pb2.RELATION_DISTILLED,
    values.Relation.MERGED: records_pb2.RELATION_MERGED,
    values.Relation.QUANTIZED: records_pb2.RELATION_QUANTIZED,
}


def scalar_message(value: values.Scalar) -> records_pb2.Value:
    """A typed value as a message."""
    if isinstance(value, bool):
        return records_pb2.Value(bool_value=value)
    if isinstance(value, int):
        return records_pb2.Value(int_value=value)
    if isinstance(value, float):
        return records_pb2.Value(double_value=value)
    return records_pb2.Value(string_value=value)


def scalar_value(message: records_pb2.Value) -> values.Scalar:
    """A message as a typed value."""
    kind = message.WhichOneof("kind") or "string_value"
    value: values.Scalar = getattr(message, kind)
    return value


def dataset_message(dataset: values.Dataset) -> records_pb2.Dataset:
    """A dataset as a message."""
    return records_pb2.Dataset(
        name=dataset.name, version=dataset.version, digest=dataset.digest, uri=dataset.uri, role=dataset.role
    )


def dataset_value(message: records_pb2.Dataset) -> values.Dataset:
    """A message as a dataset."""
    return values.Dataset(message.name, message.version, message.digest, message.uri, message.role)


def relation_message(relation: values.Relation) -> records_pb2.Relation.ValueType:
    """A relation as its number."""
    return _RELATIONS[relation]


def record_message(record: values.Record) -> records_pb2.Record:
    """A record as a message."""
    return records_pb2.Record(
        description=record.description,
        params={name: scalar_message(value) for name, value in record.params.items()},
        tags={name: scalar_message(value) for name, value in record.tags.items()},
        datasets=[dataset_message(dataset) for dataset in record.datasets],
        parents=[
            records_pb2.Parent(ref=parent.ref, relation=relation_message(parent.relation)) for parent in record.parents
        ],
        source=None if record.source is None else _source_message(record.source),
        environment=None if record.environment is None else _environment_message(record.environment),
        signature=None if record.signature is None else _signature_message(record.signature),
        energy=None if record.energy is None else _energy_message(record.energy),
    )


def record_value(message: records_pb2.Record) -> values.Record:
    """A message as a record."""
    return values.Record(
        description=message.description,
        params={name: scalar_value(value) for name, value in sorted(message.params.items())},
        tags={name: scalar_value(value) for name, value in sorted(message.tags.items())},
        datasets=tuple(dataset_value(dataset) for dataset in message.datasets),
        parents=tuple(values.Parent(parent.ref, relation_value(parent.relation)) for parent in message.parents),
        source=_source_value(message.source) if message.HasField("source") else None,
        environment=_environment_value(message.environment) if message.HasField("environment") else None,
        signature=_signature_value(message.signature) if message.HasField("signature") else None,
        energy=_energy_value(message.energy) if message.HasField("energy") else None,
    )


def _source_message(source: values.SourceCode) -> records_pb2.SourceCode:
    return records_pb2.SourceCode(
        repository=source.repository,
        commit=source.commit,
        branch=source.branch,
        dirty=source.dirty,
        diff_digest=source.diff_digest,
        untracked_digest=source.untracked_digest,
        entry_point=source.entry_point,
        command=source.command,
    )


def _source_value(message: records_pb2.SourceCode) -> values.SourceCode:
    return values.SourceCode(
        repository=message.repository,
        commit=message.commit,
        branch=message.branch,
        dirty=message.dirty,
        diff_digest=message.diff_digest,
        untracked_digest=message.untracked_digest,
        entry_point=message.entry_point,
        command=tuple(message.command),
    )


def _environment_message(environment: values.Environment) -> records_pb2.Environment:
    return records_pb2.Environment(
        python=environment.python,
        implementation=environment.implementation,
        os=environment.os,
        platform=environment.platform,
        cpu=environment.cpu,
        cpu_count=environment.cpu_count,
        accelerators=[
            records_pb2.Accelerator(name=device.name, memory_bytes=device.memory_bytes, driver=device.driver)
            for device in environment.accelerators
        ],
        container_image=environment.container_image,
        packages=environment.packages,
        packages_left_out=environment.packages_left_out,
        lock_file=environment.lock_file,
        lock_digest=environment.lock_digest,
        host=environment.host,
        user=environment.user,
    )


def _environment_value(message: records_pb2.Environment) -> values.Environment:
    return values.Environment(
        python=message.python,
        implementation=message.implementation,
        os=message.os,
        platform=message.platform,
        cpu=message.cpu,
        cpu_count=message.cpu_count,
        accelerators=tuple(
            values.Accelerator(device.name, device.memory_bytes, device.driver) for device in message.accelerators
        ),
        container_image=message.container_image,
        packages=dict(sorted(message.packages.items())),
        packages_left_out=message.packages_left_out,
        lock_file=message.lock_file,
        lock_digest=message.lock_digest,
        host=message.host,
        user=message.user,
    )


def _signature_message(signature: values.Signature) -> records_pb2.Signature:
    inputs, outputs = (
        [records_pb2.TensorSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in specs]
        for specs in (signature.inputs, signature.outputs)
    )
    return records_pb2.Signature(inputs=inputs, outputs=outputs)


def _signature_value(message: records_pb2.Signature) -> values.Signature:
    inputs, outputs = (
        tuple(values.TensorSpec(spec.name, spec.dtype, tuple(spec.shape)) for spec in specs)
        for specs in (message.inputs, message.outputs)
    )
    return values.Signature(inputs, outputs)


def _energy_message(energy: values.Energy) -> records_pb2.Energy:
    return records_pb2.Energy(kwh=energy.kwh, gco2e=energy.gco2e, region=energy.region, method=energy.method)


def _energy_value(message: records_pb2.Energy) -> values.Energy:
    return values.Energy(
        kwh=message.kwh if message.HasField("kwh") else None,
        gco2e=message.gco2e if message.HasField("gco2e") else None,
        region=message.region,
        method=message.method,
    )


def relation_value(number: int) -> values.Relation:
    """A number as a relation. Raises: Unimplemented, where it is of a later release."""
    if number == records_pb2.RELATION_UNSPECIFIED:
        return values.Relation.FINE_TUNED
    for relation, known in _RELATIONS.items():
        if known == number:
            return relation
    raise Unimplemented(f"relation {number} of a parent is not known to this release; install a later one")


def metric_message(point: values.MetricPoint) -> records_pb2.MetricPoint:
    """A metric point as a message."""
    message = records_pb2.MetricPoint(name=point.name, step=point.step, value=point.value)
    if point.time is not None:
        message.time.CopyFrom(time_message(point.time))
    return message


def metric_value(message: records_pb2.MetricPoint) -> values.MetricPoint:
    """A message as a metric point."""
    time = time_value(message.time) if message.HasField("time") else None
    return values.MetricPoint(message.name, message.value, message.step, time)


def summary_message(summary: values.MetricSummary) -> records_pb2.MetricSummary:
    """A metric in short as a message."""
    return records_pb2.MetricSummary(
        name=summary.name,
        latest=summary.latest,
        step=summary.step,
        points=summary.points,
        min=summary.min,
        max=summary.max,
    )


def summary_value(message: records_pb2.MetricSummary) -> values.MetricSummary:
    """A message as a metric in short."""
    return values.MetricSummary(message.name, message.latest, message.step, message.points, message.min, message.max)
