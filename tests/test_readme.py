"""The README is true: its commands run, and print what it says they print."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import AS_SHIPPED, RunningServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ADDRESS = "127.0.0.1:8420"

# grpcurl is not a package of any registry that setup uses; `buf curl` speaks the same protocol.
GRPCURL = """#!/usr/bin/env bash
set -euo pipefail
[ "$1" = -plaintext ]; shift
data='{}'; if [ "$1" = -d ]; then data=$2; shift 2; fi
case "$2" in
  list) exec buf curl --protocol grpc --http2-prior-knowledge --list-services "http://$1" ;;
  describe) exec python -c '
import sys, grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(grpc.insecure_channel(sys.argv[1])))
print([method.name for method in pool.FindServiceByName(sys.argv[2]).methods])' "$1" "$3" ;;
  *) exec buf curl --protocol grpc --http2-prior-knowledge --data "$data" "http://$1/$2" ;;
esac
"""


@dataclass
class Step:
    """A command of the README and what it prints."""

    command: str
    output: str


def steps(kind: str = "") -> Iterator[Step]:
    """Every command of the README's console blocks of a kind, in order."""
    for block in re.findall(rf"```console{kind}\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            # A command goes on behind a backslash at the end of its line.
            lines = re.match(r"(?:[^\n]*\\\n)*[^\n]*\n", part)
            assert lines is not None, part
            yield Step(lines[0].removesuffix("\n"), part[lines.end() :])


def pattern(output: str) -> re.Pattern[str]:
    """What is printed, where … stands for anything."""
    return re.compile(re.escape(output).replace("…", ".*?"), re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """The folder that a newcomer types in, with a checkpoint to push."""
    subprocess.run([sys.executable, ROOT / "scripts" / "make_model.py", tmp_path / "checkpoint"], check=True)
    shim = tmp_path / "bin" / "grpcurl"
    shim.parent.mkdir()
    shim.write_text(GRPCURL)
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    return tmp_path


@pytest.fixture
def shipped_server(data_dir: Path) -> Iterator[RunningServer]:
    """A server as a newcomer starts it."""
    running = RunningServer(data_dir, environment=AS_SHIPPED).start()
    yield running
    running.stop()


@pytest.mark.long
def test_every_command_prints_what_the_readme_says(shipped_server: RunningServer, workplace: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{workplace / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "WEIGHBRIDGE_SERVER": shipped_server.address,
        "BUF_CACHE_DIR": str(workplace / "buf"),
    }
    ran = 0
    for step in steps():
        if step.command.startswith("weighbridge serve"):
            assert step.output == f"ready {ADDRESS}\n"  # what shipped_server did, on a port of its own
            continue
        done = subprocess.run(
            step.command.replace(ADDRESS, shipped_server.address),
            shell=True,
            cwd=workplace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed = done.stdout.replace(shipped_server.address, ADDRESS)
        assert pattern(step.output).fullmatch(printed), (
            f"$ {step.command}\n{printed}\n--- the README says:\n{step.output}"
        )
        ran += 1
    assert ran > 15
    session = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", session], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fraud.tabular.transformer:3\n"


@pytest.mark.long
def test_a_server_that_asks_who_calls_does_as_the_readme_says(data_dir: Path, workplace: Path) -> None:
    (workplace / "registry").symlink_to(data_dir)
    running = RunningServer(data_dir, arguments=("--auth",), environment=AS_SHIPPED).start()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "WEIGHBRIDGE_SERVER": running.address,
    }
    ran = 0
    for step in steps(" auth"):
        if step.command.startswith("weighbridge serve"):
            assert step.output == f"ready {ADDRESS}\n"
        elif step.command.startswith("export "):
            name, _, value = step.command.removeprefix("export ").partition("=")
            environment[name] = value
        else:
            done = subprocess.run(
                step.command,
                shell=True,
                cwd=workplace,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert pattern(step.output).fullmatch(done.stdout), f"$ {step.command}\n{done.stdout}"
            ran += 1
    running.stop()
    assert ran > 5


def test_every_setting_is_in_the_readme() -> None:
    from weighbridge_server.settings import Settings

    table = README[README.index("| setting |") :]
    for name in Settings.model_fields:
        assert f"| `{name}` |" in table


def test_the_files_it_names_are_there() -> None:
    named = re.findall(r"`((?:client|server|scripts|protos)/[\w/.]*)`", README)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
