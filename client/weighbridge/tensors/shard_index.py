"""The index of a model in several safetensors files: which tensor is in which.

``model.safetensors.index.json``, as Hugging Face's ``save_pretrained`` writes it: an object whose ``weight_map`` has
the name of every tensor and the path of its file, relative to the index.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping

from weighbridge.core.errors import UsageError

SUFFIX = ".safetensors.index.json"
LARGEST_BYTES = 64 * 1024 * 1024
"""Of an index of a million tensors; a longer one is none."""


def weight_map(path: str, content: bytes) -> Mapping[str, str]:
    """The paths of the files, as the version has them, by the names of the tensors.

    Raises:
        UsageError: this is no index.
    """
    try:
        named = json.loads(content)["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise UsageError("it is no index: it has no weight_map") from fault
    if not isinstance(named, dict) or not all(isinstance(file, str) for file in named.values()):
        raise UsageError("it is no index: its weight_map does not name a file for each tensor")
    folder = posixpath.dirname(path)
    return {name: posixpath.normpath(posixpath.join(folder, file)) for name, file in named.items()}
