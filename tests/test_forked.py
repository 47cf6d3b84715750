"""A process that is forked in the middle of training: the version, its points and the connections stay the parent's."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunningServer

NewModel = Callable[[], str]
FORK = multiprocessing.get_context("fork")
ENDS_S = 60


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(300_000))
    return path


def in_fork(actions: dict[str, Callable[[], object]]) -> dict[str, str]:
    """What each of them raises in a process that is forked from this one."""
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=lambda: theirs.send({name: said(action) for name, action in actions.items()}))
    process.start()
    try:
        assert ours.poll(ENDS_S), "the forked process waits for something"
        raised: dict[str, str] = ours.recv()
        process.join(ENDS_S)
        assert process.exitcode == 0
        return raised
    finally:
        process.kill()


def said(action: Callable[[], object]) -> str:
    try:
        action()
    except wb.WeighbridgeError as error:
        return f"{error.reason}: {error.message}"
    return ""


def left(version: wb.VersionInProgress) -> None:
    with version:
        pass


def test_what_a_forked_process_logs_takes_no_point_of_the_parent(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.log_metric("loss", 0, 0)
        version.wait()
        version.log_metric("loss", 0.5, 1)
        raised = in_fork(
            {
                **{f"step {step}": lambda: version.log_metric("val.loss", 1.0, 1) for step in range(10)},
                "log_metrics": lambda: version.log_metrics({"val.loss": 1.0}),
                "log_params": lambda: version.log_params(lr=1),
                "set_tags": lambda: version.set_tags(a=1),
                "add": lambda: version.add(weights),
                "wait": version.wait,
                "commit": version.commit,
                "abort": version.abort,
                "the block's end": lambda: left(version),
            }
        )
        for step in range(2, 11):
            version.log_metric("loss", step / 2, step)
    assert {message.partition(":")[0] for message in raised.values()} == {"USAGE"}
    assert all("Return the values to it, or hand them over in a multiprocessing.Queue" in it for it in raised.values())
    assert version.result is not None
    curves = client.metrics(version.result.version.ref)
    assert curves.keys() == {"loss"}
    assert curves["loss"].steps.tolist() == list(range(11))


def test_a_client_of_the_parent_says_so_at_once(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    model = client.push(new_model(), weights, capture=False).version.model
    raised = in_fork(
        {
            "resolve": lambda: client.resolve(model),
            "pull": lambda: client.pull(model, weights.parent / "out"),
            "begin": lambda: client.begin(model),
            "close": client.close,
        }
    )
    assert raised.pop("close") == ""
    assert all("connect in each process" in message for message in raised.values())
    assert client.resolve(model).version == 1


FORKS = """
import os, sys
import weighbridge as wb

address, model, file, how = sys.argv[1:]
with wb.connect(address) as client:
    with client.begin(model, capture=False) as version:
        version.add(file)
        version.log_metric("loss", 0.5)
        child = os.fork()
        if child == 0:
            if how == "exits":
                sys.exit(7)
            if how == "fails":
                raise RuntimeError("the child's own")
            # or it goes on to the end of the block
        else:
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("child", ended, "made", version.result.version.ref, version.result.version.files_total)
"""


@pytest.mark.parametrize(
    ("how", "code", "last_words"),
    [
        ("exits", 7, ""),
        ("fails", 1, "RuntimeError: the child's own"),
        ("goes on", 1, "weighbridge.core.errors.UsageError: a version in progress belongs to the process that began"),
    ],
)
def test_however_a_child_leaves_the_block_the_parent_s_upload_goes_on(
    server: RunningServer, new_model: NewModel, weights: Path, how: str, code: int, last_words: str
) -> None:
    model = new_model()
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    done = subprocess.run(
        [sys.executable, "-c", FORKS, server.address, model, str(weights), how],
        capture_output=True,
        text=True,
        timeout=ENDS_S,
        env=environment,
        check=False,
    )
    assert done.stdout == f"child {code} made {model}:1 1\n", done.stderr
    assert last_words in done.stderr
