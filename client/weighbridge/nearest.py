"""Bringing chunks of a version, each from where it is nearest: what is here, the cache of chunks, the server."""

from __future__ import annotations

from weighbridge.cache import ChunkCache
from weighbridge.fetch import Manifest
from weighbridge.filling import Filling, LocalChunks, Sink
from weighbridge.given_up import GivenUp
from weighbridge.places import Places
from weighbridge.progress import Progress
from weighbridge.wire.connection import LANES, Connection
from weighbridge.wire.remote_store import RemoteStore
from weighbridge.wire.retry import Patience

_READERS = 2
"""Threads that decode what is in the cache."""


class NearestChunks:
    """The chunks of one version, for those who read them into memory. Safe to use from several threads.

    The cache of chunks is read and not filled: whoever wants no second copy on disk gets none.
    """

    def __init__(self, connection: Connection, manifest: Manifest, cache: ChunkCache, progress: Progress) -> None:
        """``manifest``: the numbers of its files stand for them in places, and an error names one of them."""
        self._connection = connection
        self._manifest = manifest
        self._cache = cache
        self._progress = progress

    def bring(self, places: Places, sink: Sink, *nearer: LocalChunks, patient: bool = True) -> None:
        """Brings chunks to every place of theirs, verified.

        ``patient``: tries again, for as long as the connection's patience lasts, where the server cannot be reached.

        Raises:
            DataLoss: a chunk is not what was pushed; names the file and the chunk.
            WeighbridgeError: it cannot be had.
        """
        bytes_total, files = 0, set[int]()
        for digest in places.digests():
            for place in places.of(digest):
                bytes_total += place.raw_bytes
                files.add(place.file)
        self._progress.begin(len(files), bytes_total)
        patience = self._connection.patience() if patient else Patience(0.0)
        given_up = GivenUp()
        filling = Filling(sink, self._manifest, places, self._cache, patience, self._progress, given_up, keep=False)
        for local in nearer:
            filling.take_from(local, threads=1)
        filling.take_from(self._cache, threads=_READERS)
        filling.bring(
            [
                RemoteStore(self._connection, ref=self._manifest.ref, lane=lane, given_up=given_up)
                for lane in range(LANES)
            ]
        )
