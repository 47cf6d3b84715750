"""The machine and the interpreter that are here beside those that were recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from weighbridge.core.values import Accelerator, Environment
from weighbridge.recipe.findings import EnvironmentDifference, Finding

_MIB = 1024 * 1024


def check_machine(recorded: Environment, present: Environment) -> Iterator[Finding]:
    """Python, system, architecture, accelerators, image. Another kernel or processor is worth a note."""
    image = recorded.container_image
    there = f"run it in the image {image}" if image else ""
    kernel, release, machine = _platform(recorded.platform)
    kernel_here, release_here, machine_here = _platform(present.platform)
    compared = (
        ("python", recorded.python, present.python, f"uv venv --python {recorded.python}"),
        ("implementation", recorded.implementation, present.implementation, f"run it with {recorded.implementation}"),
        ("os", recorded.os, present.os, there or f"run it on {recorded.os}"),
        ("kernel", kernel, kernel_here, f"run it on {kernel}"),
        ("architecture", machine, machine_here, f"run it on a machine of {machine}"),
    )
    for what, before, here, fix in compared:
        if not before:
            yield f"{what} was not recorded, and could not be compared"
        elif before != here:
            yield EnvironmentDifference(what, before, here, fix)
    yield from _image(recorded, present)
    yield from _devices(recorded.accelerators, present.accelerators)
    notes = (
        ("release of the kernel", release, release_here),
        ("processor", recorded.cpu, present.cpu),
        ("number of processors", str(recorded.cpu_count or ""), str(present.cpu_count or "")),
    )
    for what, before, here in notes:
        if before and here != before:
            yield f"the {what} here is {here or 'not known'}; {before} was recorded"


def _platform(text: str) -> tuple[str, str, str]:
    """Kernel, release, architecture."""
    kernel, _, rest = text.partition(" ")
    release, _, machine = rest.rpartition(" ")
    return kernel, release, machine


def _image(recorded: Environment, present: Environment) -> Iterator[Finding]:
    before, here = recorded.container_image, present.container_image
    if before and before != here:
        yield EnvironmentDifference(
            "container image", before, here, f"run it in {before}, with WEIGHBRIDGE_CONTAINER_IMAGE={before}"
        )
    elif here and not before:
        yield f"the container image here is {here}; none was recorded, and it could not be compared"


def _devices(recorded: Sequence[Accelerator], present: Sequence[Accelerator]) -> Iterator[Finding]:
    before, here = _models(recorded), _models(present)
    if before != here:
        fix = f"run it on a machine with {before}" if before else "hide them, such as with CUDA_VISIBLE_DEVICES="
        yield EnvironmentDifference("accelerators", before, here, fix)
    if not recorded or not present:
        return
    before, here = _drivers(recorded), _drivers(present)
    if before and before != here:
        yield EnvironmentDifference("accelerator driver", before, here, f"install the driver {before}")


def _models(devices: Sequence[Accelerator]) -> str:
    """Equal ones together, in an order of their own: ``2 x NVIDIA A100 (81920 MiB)``."""
    counts = Counter((device.name, device.memory_bytes // _MIB) for device in devices)
    return ", ".join(
        f"{count} x {name}" + (f" ({mib} MiB)" if mib else "") for (name, mib), count in sorted(counts.items())
    )


def _drivers(devices: Sequence[Accelerator]) -> str:
    return ", ".join(sorted({device.driver for device in devices if device.driver}))
