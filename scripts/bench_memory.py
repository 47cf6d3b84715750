"""Peak resident memory of both sides: while gigabytes go in and out, and under many and stalled readers.

``scripts/bench memory [GB]`` (10). Reads the kernel's high-water marks, so no peak is missed. Linux only.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from weighbridge.fetch import fetch_manifest
from weighbridge.v1 import transfer_pb2
from weighbridge.wire.connection import Connection
from weighbridge.wire.remote_store import RemoteStore

WEIGHBRIDGE = (sys.executable, "-m", "weighbridge.cli.main")
FILE_BYTES = 1_000_000_000
READERS = 32
STALLED = 8


def make_weights(folder: Path, gigabytes: int) -> None:
    """Files of 1 GB of bf16 numbers, as weights have them, each different."""
    import numpy

    folder.mkdir()
    for number in range(gigabytes):
        generator = numpy.random.default_rng(number)
        with (folder / f"model-{number:05d}.bin").open("wb") as file:
            for _ in range(10):
                numbers = generator.standard_normal(FILE_BYTES // 20, dtype="float32")
                (numbers.view("uint32") >> 16).astype("uint16").tofile(file)


@contextmanager
def server(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own; ended at the end."""
    command = (*WEIGHBRIDGE, "serve", "--listen", "127.0.0.1:0", "--data", str(data))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.wait()


def peak_mib(pid: int) -> float:
    """The high-water mark of a process since ``forget_peak``."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


def forget_peak(pid: int) -> None:
    """Begins a new high-water mark at the present size."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def run(*arguments: str, address: str) -> tuple[dict[str, object], float]:
    """One command of the client; its document, and its peak in MiB."""
    command = [*WEIGHBRIDGE, *arguments, "--json", "--server", address]
    with tempfile.TemporaryFile("w+") as out:
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
        out.seek(0)
        document = json.loads(out.read())
    assert status == 0, document
    return document, usage.ru_maxrss / 1024


def read_whole(address: str, ref: str) -> int:
    """Downloads every chunk of a version and drops it; how many bytes came."""
    connection = Connection(address, None)
    digests = list(dict.fromkeys(c.digest for file in fetch_manifest(connection, ref).files for c in file.chunks))
    total = sum(len(chunk.payload) for chunk in RemoteStore(connection, ref=ref).get(digests))
    connection.close()
    return total


def never_read(address: str, ref: str, until: threading.Event) -> None:
    """Asks for every chunk of a version and reads none."""
    connection = Connection(address, None)
    digests = list(dict.fromkeys(c.digest for file in fetch_manifest(connection, ref).files for c in file.chunks))
    request = transfer_pb2.DownloadChunksRequest(ref=ref, digests=digests)
    call = connection.open(connection.transfer.DownloadChunks, request)
    until.wait()
    call.cancel()
    connection.close()


def main() -> None:
    """Prints one line a measurement."""
    gigabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    work = Path(tempfile.mkdtemp(prefix="weighbridge-bench-", dir=os.environ.get("TMPDIR", "/tmp")))
    work.chmod(0o711)
    os.environ["WEIGHBRIDGE_CACHE_DIR"] = str(work / "cache")
    try:
        # In a process of its own: a child's high-water mark begins with its parent's size.
        maker = multiprocessing.get_context("spawn").Process(target=make_weights, args=(work / "model", gigabytes))
        maker.start()
        maker.join()
        with server(work / "data") as (process, address):
            print(f"server at rest: {peak_mib(process.pid):.0f} MiB")
            forget_peak(process.pid)
            pushed, client = run("push", "bench.memory.model", str(work / "model"), address=address)
            print(
                f"push of {gigabytes} GB in {pushed['seconds']} s: "
                f"client {client:.0f} MiB, server {peak_mib(process.pid):.0f} MiB"
            )
            forget_peak(process.pid)
            pulled, client = run("pull", "bench.memory.model", str(work / "out"), address=address)
            print(
                f"pull of {gigabytes} GB in {pulled['seconds']} s: "
                f"client {client:.0f} MiB, server {peak_mib(process.pid):.0f} MiB"
            )
            shutil.rmtree(work / "out")
            one, _ = run("push", "bench.memory.one", str(work / "model" / "model-00000.bin"), address=address)
            forget_peak(process.pid)
            until = threading.Event()
            began = time.monotonic()
            with ThreadPoolExecutor(READERS + STALLED) as threads:
                for _ in range(STALLED):
                    threads.submit(never_read, address, str(one["ref"]), until)
                readers = [threads.submit(read_whole, address, str(one["ref"])) for _ in range(READERS)]
                total = sum(reader.result() for reader in readers)
                peak = peak_mib(process.pid)
                until.set()
            print(
                f"{READERS} pulls of 1 GB at once and {STALLED} clients that never read, "
                f"{total / 1e9:.1f} GB of payload in {time.monotonic() - began:.0f} s: server {peak:.0f} MiB"
            )
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
