"""``requirements.txt``: the recorded packages, pinned as pip reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from weighbridge.recipe.plain import one_line

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
_PUBLIC = r"(?:\d+!)?\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?"
_VERSION = re.compile(rf"({_PUBLIC})(?:\+([a-z0-9]+(?:[._-][a-z0-9]+)*))?", re.IGNORECASE | re.ASCII)
"""PEP 440 in its normal form, and the local label of a build."""
_TORCH = frozenset({"torch", "torchaudio", "torchvision"})
_TORCH_BUILD = re.compile(r"cpu|(?:cu|rocm)[0-9][0-9.]*|xpu", re.ASCII)
_TORCH_INDEX = "https://download.pytorch.org/whl/"
OURS = "weighbridge"


@dataclass(frozen=True)
class Requirement:
    """A recorded package."""

    name: str
    version: str
    index: str = ""
    """The URL of the index that has this build, where it is not the usual one."""
    obstacle: str = ""
    """Why pip cannot get it; empty where it can."""

    @property
    def pinned(self) -> str:
        """``name==version``."""
        return f"{self.name}=={self.version}"

    @property
    def install(self) -> str:
        """How to get it: a command, or what stands in its way."""
        if self.obstacle:
            return f"{self.obstacle}: install it from where it came from"
        return f"pip install {self.pinned}" + (f" --extra-index-url {self.index}" if self.index else "")


def requirement(name: str, version: str) -> Requirement:
    """What pip can do with a package of a record."""
    read = _VERSION.fullmatch(version)
    if not _NAME.fullmatch(name) or read is None:
        return Requirement(name, version, obstacle="its name and version are none that pip reads")
    if name == OURS:
        return Requirement(name, version, obstacle="Weighbridge itself, which may be in no index that you use")
    build = read[2]
    if build is None:
        return Requirement(name, version)
    if name in _TORCH and _TORCH_BUILD.fullmatch(build):
        return Requirement(name, version, index=_TORCH_INDEX + build)
    return Requirement(name, version, obstacle="a local build, which no index has")


def requirements_text(packages: Mapping[str, str], heading: str) -> str:
    """The file: what pip can install, then what it cannot, as comments."""
    wanted = [requirement(name, version) for name, version in sorted(packages.items())]
    indexes = sorted({one.index for one in wanted if one.index})
    lines = [f"# {one_line(heading)}", *(f"--extra-index-url {index}" for index in indexes)]
    lines += [one.pinned for one in wanted if not one.obstacle]
    lines += [f"# {one_line(one.pinned)}  ({one.obstacle})" for one in wanted if one.obstacle]
    return "\n".join(lines) + "\n"
