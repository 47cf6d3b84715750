"""Whether two versions were made in another environment."""

from __future__ import annotations

from weighbridge.core.values import Environment, Record, Scalar
from weighbridge_server.domain.comparison.fields import Fields, field_differences, same
from weighbridge_server.domain.comparison.record_fields import environment_fields, package_fields
from weighbridge_server.domain.comparison.wording import at_most, change, changes

_FIELDS = ("accelerators", "container_image", "python", "implementation", "cpu", "os")
"""What computes, the likeliest first. Not host and user: they name what computes, and change nothing."""
_COST_FIELDS = ("cpu_count", "platform")
"""What makes it slower, but no number wrong: processors, the kernel's release."""
_TAG = "hardware_target"
"""A tag that the shipped schema asks for."""
_MOST_PACKAGES = 5
_NUMERIC = (
    "torch",
    "tensorflow",
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "scipy",
    "scikit-learn",
    "xgboost",
    "lightgbm",
    "catboost",
    "transformers",
    "accelerate",
    "peft",
    "trl",
    "deepspeed",
    "flash-attn",
    "bitsandbytes",
    "vllm",
    "datasets",
    "tokenizers",
    "torchvision",
    "torchaudio",
    "torchmetrics",
    "lightning",
    "pytorch-lightning",
    "timm",
    "pandas",
    "polars",
    "pyarrow",
)
"""Packages that compute, or read data, come before all others."""
_RANK = {name: rank for rank, name in enumerate(_NUMERIC)}


def environment_recorded(record: Record) -> bool:
    """Whether a version says in what environment it was made."""
    return package_fields(record) is not None


def environment_changes(before: Record, after: Record, *, cost: bool) -> list[str]:
    """What changed of the environment, in words; nothing where one side records none.

    ``cost``: what may change how much a model takes is looked for, too.
    """
    old, new = environment_fields(before), environment_fields(after)
    found = []
    if old is not None and new is not None:
        wanted = (*_FIELDS, *_COST_FIELDS) if cost else _FIELDS
        found += [change(_words(name), old.get(name), new.get(name)) for name in wanted if _differs(name, old, new)]
        architectures = [_architecture(side) for side in (old, new)]
        if not cost and all(architectures) and architectures[0] != architectures[1]:
            found.append(change("architecture", *architectures))
    found += _packages(before, after)
    if not same(before.tags.get(_TAG), after.tags.get(_TAG)):
        found.append(change(f"tag {_TAG}", before.tags.get(_TAG), after.tags.get(_TAG)))
    return found


def _words(name: str) -> str:
    return name.replace("_", " ")


def _differs(name: str, before: Fields, after: Fields) -> bool:
    """A machine without accelerators has none; of anything else what is not said is not known."""
    if name not in before or name not in after:
        return name == "accelerators" and (name in before or name in after)
    return not same(before[name], after[name])


def _architecture(fields: Fields) -> str:
    """The last word of the platform: ``x86_64``."""
    return str(fields.get("platform", "")).rpartition(" ")[2]


def _packages(before: Record, after: Record) -> list[str]:
    parts = [package_fields(before), package_fields(after)]
    if parts[0] is None or parts[1] is None:
        return _lock(before.environment, after.environment)
    differing = [one for one in field_differences(parts) if one.differs]
    differing.sort(key=lambda one: (_RANK.get(one.name, len(_RANK)), one.name))
    return at_most(changes(differing), _MOST_PACKAGES, "other packages")


def _lock(before: Environment | None, after: Environment | None) -> list[str]:
    """Says something of packages only where they are not recorded themselves."""
    texts: list[Scalar] = [side.lock_digest for side in (before, after) if side is not None and side.lock_digest]
    return ["another lock file"] if len(set(texts)) > 1 else []
