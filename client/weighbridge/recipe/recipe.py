"""A recipe: what a record tells of how its version was made, and the folder that it is written into."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weighbridge.core.manifest import FileSummary
from weighbridge.core.values import Record, Version
from weighbridge.recipe.command import run_script
from weighbridge.recipe.documents import datasets_document, json_text, recipe_document
from weighbridge.recipe.folder import write_folder
from weighbridge.recipe.gaps import gaps_of
from weighbridge.recipe.lock_file import LockFile
from weighbridge.recipe.readme import readme_text
from weighbridge.recipe.requirements import requirements_text


@dataclass(frozen=True)
class Recipe:
    """How a version was made, as far as it was recorded. Made by ``Client.recipe``."""

    version: Version
    record: Record
    files: Sequence[FileSummary]
    """What came of it."""
    lock: LockFile | None
    """The lock file of the code's packages, where a clone that has it was at hand."""
    server: str
    """``HOST:PORT`` of the server that keeps the record."""

    @property
    def ref(self) -> str:
        """``name:number``."""
        return self.version.ref

    @property
    def gaps(self) -> list[str]:
        """What the record cannot give back, a sentence in Markdown each."""
        return gaps_of(self.record, lock_found=self.lock is not None)

    def contents(self) -> dict[str, bytes]:
        """The files of the folder, by their paths.

        ``README.md`` says what to do, step by step; ``recipe.json`` has everything for programs. ``params.json`` and
        ``datasets.json`` are always there; ``requirements.txt``, ``run.sh`` and ``lock/…`` where the record has
        packages, a command that can be run again, and a lock file that was at hand.
        """
        record, environment = self.record, self.record.environment
        texts = {
            "README.md": readme_text(self.version, record, self.lock, self.gaps, self.server),
            "recipe.json": json_text(recipe_document(self.version, record, self.files, self.gaps)),
            "params.json": json_text(dict(record.params)),
            "datasets.json": json_text(datasets_document(record)),
            # git shall not take a recipe that lies in a clone for a change of the code.
            ".gitignore": "*\n",
        }
        if environment is not None and environment.packages:
            heading = f"{self.ref}: {environment.implementation} {environment.python}, {environment.platform}"
            texts["requirements.txt"] = requirements_text(environment.packages, heading)
        script = run_script(self.ref, record.source)
        if script is not None:
            texts["run.sh"] = script
        contents = {path: text.encode() for path, text in texts.items()}
        if self.lock is not None and environment is not None:
            contents[f"lock/{environment.lock_file}"] = self.lock.content
        return contents

    def write(self, folder: str | os.PathLike[str] | None = None, *, force: bool = False) -> Path:
        """Writes the recipe into a folder, which appears whole or not at all; returns the folder.

        Args:
            folder: made if absent; by default ``reproduce-`` with the model's name and the version's number, in the
                working directory.
            force: write into a folder that holds something too. Its files are replaced one by one, what an older
                recipe left there goes, and all else stays.

        Raises:
            DestinationUnwritable: the folder holds something already, or cannot be written.
        """
        place = Path(f"reproduce-{self.version.model}-{self.version.version}" if folder is None else folder)
        write_folder(place, self.contents(), force=force)
        return place
