"""Rounds of push in which the client or the server is killed at a random moment, and the oracle that judges them.

``python tests/crash_rounds.py ROUNDS [SEED]`` runs them and prints what was seen; ``test_crash_rounds.py`` runs
a few. The oracle: every committed version reads back exactly, no row of the catalogue points at missing or
damaged bytes, the journal verifies, and what a push reported as done is there.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from conftest import WEIGHBRIDGE, RunningServer
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import file_manifest, manifest_digest
from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.domain.journal.journal import Journal
from weighbridge_server.postgres import EmbeddedPostgres
from weighbridge_server.storage.catalog import Catalog
from weighbridge_server.storage.catalog_index import CatalogIndex
from weighbridge_server.storage.pack_directory import PackDirectory
from weighbridge_server.storage.pack_store import PackStore

MODEL = "crash.test.model"
CHUNKS = 40
CHANGED_A_ROUND = 60


@dataclass
class Tally:
    """What the rounds did."""

    rounds: int = 0
    clients_killed: int = 0
    servers_killed: int = 0
    not_reached: int = 0
    pushes_done: int = 0
    versions: int = 0
    chunks_checked: int = 0
    events: int = 0
    pushed: set[str] = field(default_factory=set)
    contents: dict[str, bytes] = field(default_factory=dict)
    """Content's digest by manifest digest, for every content that was ever pushed."""


class CrashRounds:
    """A server, a file that changes a little each round, and a random moment to kill one or the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.tally = Tally()
        self._random = random.Random(seed)
        self._file = folder / "weights.bin"
        self._raw = bytearray(self._random.randbytes(CHUNKS * CHUNK_BYTES - 1000))
        self._server = RunningServer(folder / "data").start()
        self._server.listen = self._server.address
        self._typical_s = 1.0

    def round(self) -> None:
        """One push, and at most one kill."""
        content = self._change()
        victim = self._random.choice(["client", "server", "server", "nobody"])
        moment = self._random.uniform(0.3, 1.0) * self._typical_s
        began = time.monotonic()
        push = subprocess.Popen(
            [*WEIGHBRIDGE, "push", MODEL, str(self._file), "--json", "--server", self._server.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if victim != "nobody":
            try:
                push.wait(moment)
            except subprocess.TimeoutExpired:
                if victim == "client":
                    push.kill()
                    self.tally.clients_killed += 1
                else:
                    self._server.kill()
                    self._server.start()
                    self.tally.servers_killed += 1
        out, err = push.communicate(timeout=120)
        self.tally.rounds += 1
        if push.returncode == 0:
            self.tally.pushes_done += 1
            self.tally.pushed.add(json.loads(out)["ref"])
            assert json.loads(out)["manifest_digest"] == content
        if victim == "nobody":
            assert push.returncode == 0, err
            self._typical_s = time.monotonic() - began
        if victim == "server" and push.returncode != 0:
            # Killed before the client had reached it: then a client does not wait for it to come back.
            assert "no Weighbridge server answers" in out, f"the push did not survive the restart: {out}{err}"
            self.tally.not_reached += 1

    def _change(self) -> str:
        for _ in range(CHANGED_A_ROUND):
            at = self._random.randrange(len(self._raw) - 64)
            self._raw[at : at + 64] = self._random.randbytes(64)
        self._file.write_bytes(self._raw)
        view = memoryview(self._raw)
        chunks = [
            ChunkRef(chunk_digest(view[at : at + CHUNK_BYTES]), min(CHUNK_BYTES, len(view) - at))
            for at in range(0, len(view), CHUNK_BYTES)
        ]
        manifest = format_digest(manifest_digest([file_manifest(self._file.name, chunks)]))
        self.tally.contents[manifest] = chunk_digest(self._raw)
        return manifest

    def judge(self) -> Tally:
        """Stops the server and asks the oracle."""
        self._read_every_version()
        self._server.kill()
        self._check_the_store()
        return self.tally

    def _read_every_version(self) -> None:
        out = self._file.with_name("out")
        with self._server.connect() as client:
            versions = list(client.versions(MODEL))
            assert self.tally.pushed <= {version.ref for version in versions}
            numbers = [version.version for version in versions]
            assert numbers == list(range(len(numbers), 0, -1))
            for version in versions:
                expected = self.tally.contents[format_digest(version.manifest)]
                path = client.pull(version.ref, out) / self._file.name
                assert chunk_digest(path.read_bytes()) == expected, version.ref
                shutil.rmtree(out)
        self.tally.versions = len(versions)

    def _check_the_store(self) -> None:
        with DataDirectory.open(self._server.data) as directory:
            postgres = EmbeddedPostgres(directory.postgres, lock_fd=directory.lock_fd)
            catalog = Catalog(postgres.start(), connections=4)
            try:
                digests = [
                    bytes(digest)  # type: ignore[call-overload]
                    for (digest,) in catalog_rows(catalog, "SELECT digest FROM chunk WHERE NOT damaged ORDER BY id")
                ]
                assert catalog_rows(catalog, "SELECT count(*) FROM chunk WHERE damaged") == [(0,)]
                packs = PackDirectory(directory.packs)
                store = PackStore(packs, CatalogIndex(catalog.database), streams=1)
                for chunk in store.get(digests):
                    open_chunk(chunk)
                    self.tally.chunks_checked += 1
                store.close()
                *_, proven = Journal(catalog).verify()
                assert proven.done
                self.tally.events = proven.revision
            finally:
                catalog.close()
                postgres.stop()


def catalog_rows(catalog: Catalog, sql: str) -> list[tuple[object, ...]]:
    """Rows of the catalogue, past every interface."""
    with catalog.database.session():
        return catalog.database.rows(sql)


def main() -> None:
    """Runs the rounds that are asked for."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    os.environ["WEIGHBRIDGE_CACHE_DIR"] = tempfile.mkdtemp()
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-crash-", dir="/tmp"))
    folder.chmod(0o711)
    print(f"seed {seed}, in {folder}")
    rounds_of = CrashRounds(folder, seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for number in range(1, rounds + 1):
        rounds_of.round()
        if number % 10 == 0:
            print(f"{number} rounds", flush=True)
    tally = rounds_of.judge()
    shutil.rmtree(folder)
    print(
        f"{tally.rounds} rounds: {tally.clients_killed} clients and {tally.servers_killed} servers killed, "
        f"{tally.pushes_done} pushes done, {tally.not_reached} found no server; "
        f"{tally.versions} versions read back exactly, "
        f"{tally.chunks_checked} chunks checked where they are stored, {tally.events} events of the journal verified"
    )


if __name__ == "__main__":
    main()
