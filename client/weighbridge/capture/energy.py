"""Energy as codecarbon measures it, where that is installed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.values import Energy

_METHOD = "codecarbon"
_G_PER_KG = 1000.0


@contextmanager
def tracked_energy(record: Callable[[Energy], None], options: dict[str, Any]) -> Iterator[None]:
    """Measures a block with codecarbon and hands over what it took, also when the block raises.

    Raises:
        UsageError: codecarbon is not installed. What fails while it ends only leaves the energy out.
    """
    try:
        codecarbon: Any = importlib.import_module("codecarbon")
    except ImportError as fault:
        raise UsageError(f"track_energy needs codecarbon ({fault}): pip install codecarbon, or log_energy") from fault
    kind = codecarbon.OfflineEmissionsTracker if "country_iso_code" in options else codecarbon.EmissionsTracker
    tracker = kind(**{"save_to_file": False, "log_level": "error", "allow_multiple_runs": True, **options})
    tracker.start()
    try:
        yield
    finally:
        measured = _stopped(tracker, getattr(codecarbon, "__version__", ""))
        if measured is not None:
            record(measured)


def _stopped(tracker: Any, release: str) -> Energy | None:
    try:
        tracker.stop()
        return _energy(tracker.final_emissions_data, release)
    except Exception:  # noqa: BLE001 - a measurement that fails must not fail what it measured
        return None


def _energy(data: Any, release: str) -> Energy:
    region = "-".join(part for part in (data.country_iso_code, data.region) if part and isinstance(part, str))
    return Energy(
        kwh=_number(data.energy_consumed),
        gco2e=None if (kg := _number(data.emissions)) is None else kg * _G_PER_KG,
        region=region,
        method=f"{_METHOD} {release}".strip(),
    )


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) and number >= 0 else None
