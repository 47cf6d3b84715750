"""The story of a release, in processes: a trainer pushes three versions, people approve, and a serving process follows
``@production`` under a steady load of requests, over two swaps and a rollback; then it is killed, and is a zombie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

import weighbridge as wb
from auth_fixtures import AskingWho, asking

__all__ = ["asking"]

PATIENCE_S = 60
T = TypeVar("T")

# Three rounds of gradient descent, each longer than the one before.
TRAINER = """
import sys

import numpy as np

import weighbridge as wb

random = np.random.default_rng(7)
features, truth = random.normal(size=(400, 8)), np.arange(8.0)
labels = features @ truth
with wb.connect() as client:
    for rounds in (3, 10, 40):
        with client.begin(sys.argv[1], params={"rounds": rounds}, description="a line through a cloud") as version:
            version.add_dataset("cloud", version="7")
            weights = np.zeros(8)
            for step in range(rounds):
                weights -= 0.1 * features.T @ (features @ weights - labels) / len(labels)
                version.log_metric("loss", float(np.mean((features @ weights - labels) ** 2)), step=step)
            np.save("weights.npy", weights)
            version.add("weights.npy")
        print(version.result.version.ref, flush=True)
"""

# Each request is answered by one version, whole: who swaps in between waits until nobody reads the old one.
SERVER = """
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

import weighbridge as wb

present = None


def take(swap):
    global present
    present = (swap.version, np.load(swap.path / "weights.npy"))


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        version, weights = present
        body = json.dumps({"version": version, "sum": float(weights.sum())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with wb.connect() as client, client.follow(sys.argv[1], take, "serving", node="eu-7", ttl_s=1) as follower:
    follower.wait(60)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    print(server.server_port, flush=True)
    server.serve_forever()
"""


@contextmanager
def process(script: str, *arguments: str, token: str, address: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python process in a folder of its own; killed at the end where it still runs."""
    folder.mkdir()
    environment = {**os.environ, "WEIGHBRIDGE_SERVER": address, "WEIGHBRIDGE_TOKEN": token}
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as running:
        try:
            yield running
        finally:
            running.kill()


class Load:
    """Requests to a serving process, one after another from each of two threads, until ``stop``."""

    def __init__(self, port: int, sums: dict[int, float]) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self.versions: list[int] = []
        """Those that answered, each once for every turn."""
        self._url, self._sums = f"http://127.0.0.1:{port}/", sums
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def until_served_by(self, version: int) -> None:
        """Waits for the first answer of a version, the newest that took over."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.wrong or self.versions[-1:] == [version], PATIENCE_S)
        assert came, f"version {version} never answered: {self.versions}"
        assert self.wrong == []

    def stop(self) -> None:
        """Ends it after the requests that are under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                with urllib.request.urlopen(self._url, timeout=10) as response:
                    answer = json.load(response)
                right = answer["sum"] == self._sums[answer["version"]]
                fault = "" if right else f"version {answer['version']} answered {answer['sum']}"
            except Exception as error:  # noqa: BLE001 - whatever it is, a request was not answered
                answer, fault = {"version": 0}, repr(error)
            with self._changed:
                self.answered += 1
                if fault:
                    self.wrong.append(fault)
                elif self.versions[-1:] != [answer["version"]]:
                    self.versions.append(answer["version"])
                self._changed.notify_all()


def until(found: Callable[[], Sequence[T]]) -> Sequence[T]:
    """What is found once anything is."""
    never = threading.Event()
    for _ in range(PATIENCE_S * 10):
        result = found()
        if result:
            return result
        never.wait(0.1)
    pytest.fail(f"nothing was found within {PATIENCE_S} s")


def test_from_the_trainer_to_the_serving_node_and_back(
    asking: AskingWho, new_model: Callable[[], str], tmp_path: Path
) -> None:
    model = new_model()
    production = f"{model}@production"
    manager, approver = (asking.somebody((role, model)) for role in ("maintainer", "approver"))
    better = wb.PolicyRule("better", "candidate.metrics.loss < incumbent.metrics.loss")
    manager.set_policy(model, "production", [better], approvals=wb.ApprovalsNeeded(1))

    def release(ref: str) -> None:
        manager.promote(ref, "staging")
        with pytest.raises(wb.ApprovalNeeded):
            manager.promote(ref, "production")
        (request,) = approver.approval_requests(model, waiting_for_me=True)
        approver.approve(request.ref, request.target, record_digest=request.record_digest)
        assert manager.promote(ref, "production").version.stage == "production"

    trainer = asking.token(("contributor", model)).text
    where = {"address": asking.server.address}
    with process(TRAINER, model, token=trainer, folder=tmp_path / "trainer", **where) as training:
        out, _ = training.communicate(timeout=PATIENCE_S)
    assert (training.returncode, out.split()) == (0, [f"{model}:{number}" for number in (1, 2, 3)])
    sums = {}
    for number in (1, 2, 3):
        pulled = manager.pull(f"{model}:{number}", tmp_path / f"v{number}")
        sums[number] = float(np.load(pulled / "weights.npy").sum())
    assert len(set(sums.values())) == 3

    release(f"{model}:1")
    node = asking.token(("reader", model)).text
    with process(SERVER, production, token=node, folder=tmp_path / "node", **where) as serving:
        assert serving.stdout is not None
        load = Load(int(serving.stdout.readline()), sums)
        try:
            load.until_served_by(1)
            release(f"{model}:2")
            load.until_served_by(2)
            release(f"{model}:3")
            load.until_served_by(3)
            manager.rollback(production, reason="refuses good customers")
            load.until_served_by(2)
        finally:
            load.stop()
        assert load.wrong == []
        assert load.answered > 20
        # It reports a version once that has taken over.
        (runs,) = until(lambda: [node for node in manager.deployments(model) if node.ref == f"{model}:2"])
        assert (runs.node, runs.alias) == ("eu-7", "production")
        assert manager.zombies(model).zombies == ()
        serving.send_signal(signal.SIGKILL)
        assert serving.wait(PATIENCE_S) == -signal.SIGKILL

    (zombie,) = until(lambda: manager.zombies(model).zombies)
    assert (zombie.deployment.node, wb.ZombieReason.SILENT in zombie.reasons) == ("eu-7", True)
    moves = [(move.action, move.ref.rpartition(":")[2]) for move in manager.alias_history(production)]
    assert moves == [
        ("alias.rolled-back", "2"),
        ("alias.promoted", "3"),
        ("alias.promoted", "2"),
        ("alias.promoted", "1"),
    ]
