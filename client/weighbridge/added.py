"""The files that are added to a version in progress: uploaded in the background, one ``add`` after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from weighbridge.core.errors import SourceChanged, SourceUnreadable, WeighbridgeError
from weighbridge.core.manifest import FileManifest
from weighbridge.given_up import results
from weighbridge.source import Source, SourcesTogether, scan_again

Upload = Callable[[Sequence[Source]], list[FileManifest]]


@dataclass
class _Batch:
    """The files of one ``add``."""

    sources: Sequence[Source]
    upload: Future[list[FileManifest]] = field(default_factory=Future)
    told: bool = False
    """Whether somebody was told why it failed."""


class AddedFiles:
    """Uploads what is added; may be used from one thread at a time.

    What an upload failed with is raised once, and the next call begins that upload again. Where it was for a reason
    that passes, a server that was away, the next call does so without a word.
    """

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="weighbridge-upload")
        self._together = SourcesTogether()
        self._batches: list[_Batch] = []
        self._failed: deque[tuple[_Batch, BaseException]] = deque()
        self._away: WeighbridgeError | None = None
        """Why nothing is sent for now: each batch would wait as long for the same server."""

    def add(self, sources: Sequence[Source]) -> None:
        """Begins to upload files.

        Raises:
            InvalidPath, LimitExceeded: a version cannot hold them beside the others.
            BaseException: what an earlier upload failed with; these are not added.
        """
        self._try_again()
        self._together.take(sources)
        batch = _Batch(sources)
        self._batches.append(batch)
        self._begin(batch)

    def files(self) -> list[FileManifest]:
        """All files, once they are on the server.

        Raises:
            BaseException: what the first upload failed with that did.
        """
        self._try_again()
        files: list[FileManifest] = []
        for batch in self._batches:
            try:
                files += results([batch.upload])[0]
            except Exception:
                batch.told = True
                raise
        return files

    def again(self) -> list[FileManifest]:
        """As ``files``, of uploads that begin anew: the server has lost chunks since."""
        for batch in self._batches:
            self._begin(batch)
        return self.files()

    def end(self) -> None:
        """Waits for the upload that runs; the others do not begin."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _begin(self, batch: _Batch) -> None:
        batch.told = False
        batch.upload = self._worker.submit(self._run, batch)

    def _run(self, batch: _Batch) -> list[FileManifest]:
        try:
            if self._away is not None:
                raise self._away
            return self._upload(batch.sources)
        except BaseException as fault:
            if isinstance(fault, WeighbridgeError) and fault.retryable:
                self._away = fault
            self._failed.append((batch, fault))
            raise

    def _try_again(self) -> None:
        self._away = None
        for _ in range(len(self._failed)):
            batch, fault = self._failed[0]
            if not batch.told and not (isinstance(fault, WeighbridgeError) and fault.retryable):
                batch.told = True
                raise fault
            if isinstance(fault, SourceChanged | SourceUnreadable):
                batch.sources = scan_again(batch.sources)  # who tries again means them as they are now
            self._failed.popleft()
            self._begin(batch)
