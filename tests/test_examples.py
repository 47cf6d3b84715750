"""The workflow in scripts/examples does what it says: it trains, pushes, and promotes what the policy lets pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import weighbridge as wb
from conftest import AS_SHIPPED, RunningServer

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "scripts" / "examples"
WORKFLOW: dict[Any, Any] = yaml.safe_load((EXAMPLES / "train.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["train"]["steps"]
INSTALL = "Install"
"""The one step that is not run: what it installs is here already."""
MODEL: str = WORKFLOW["env"]["MODEL"]


@dataclass
class Ran:
    """A run of the workflow: the steps that ended well, the one that failed, and what was printed."""

    passed: list[str] = field(default_factory=list)
    failed: str = ""
    said: str = ""


def filled(text: str, known: Mapping[str, str]) -> str:
    """A value of the workflow, its expressions replaced by what they stand for."""
    return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda match: known[match[1]], text)


def run_workflow(server: RunningServer, checkout: Path, **inputs: str) -> Ran:
    """Runs each step as the runner of GitHub does; a step that fails ends the job."""
    declared = WORKFLOW[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 takes the word "on" for a truth
    known = {f"inputs.{name}": inputs.get(name, value["default"]) for name, value in declared.items()}
    known |= {"vars.WEIGHBRIDGE_SERVER": server.address, "secrets.WEIGHBRIDGE_TOKEN": ""}
    ran = Ran()
    for step in STEPS:
        if "uses" in step or step["name"] == INSTALL:
            continue
        output = checkout / "output"
        output.write_text("")
        environment = {
            **os.environ,
            **{name: filled(text, known) for name, text in {**WORKFLOW["env"], **step.get("env", {})}.items()},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_RUN_ID": "77",
        }
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        ran.said += done.stdout
        if done.returncode:
            ran.failed = step["name"]
            return ran
        ran.passed.append(step["name"])
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            known[f"steps.{step['id']}.outputs.{name}"] = value
    return ran


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository that the workflow is in."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "checkout"))


@pytest.fixture
def shipped_server(data_dir: Path) -> Iterator[RunningServer]:
    """A server as a newcomer starts it."""
    running = RunningServer(data_dir, environment=AS_SHIPPED).start()
    yield running
    running.stop()


def stages(client: wb.Client) -> dict[int, str]:
    return {version.version: str(version.stage) for version in client.versions(MODEL)}


@pytest.mark.long
def test_what_is_no_worse_goes_into_production_and_what_is_worse_fails_the_job(
    shipped_server: RunningServer, checkout: Path
) -> None:
    every = [step["name"] for step in STEPS if "uses" not in step and step["name"] != INSTALL]
    first = run_workflow(shipped_server, checkout)
    assert (first.passed, first.failed) == (every, ""), first.said
    with shipped_server.connect() as client:
        assert stages(client) == {1: "production"}
        worse = run_workflow(shipped_server, checkout, steps="1")
        assert worse.failed == "Weigh it", worse.said
        for expected in ("no worse", "FAIL", f"{MODEL}:1", "incumbent.metrics.accuracy = "):
            assert expected in worse.said
        assert stages(client) == {1: "production", 2: "development"}
        again = run_workflow(shipped_server, checkout)
        assert (again.passed, again.failed) == (every, ""), again.said
        assert stages(client) == {1: "archived", 2: "development", 3: "production"}
        entered = client.aliases(MODEL)[0]
        assert (entered.alias, entered.previous_ref, entered.reason) == (
            "production",
            f"{MODEL}:1",
            "passed the policy in run 77",
        )
        record = client.version(f"{MODEL}:3").record
        assert record is not None
        assert (record.params["steps"], record.datasets[0].name) == (200, "clouds")
        assert list(client.load(f"{MODEL}@production")) == ["weights"]


def test_what_it_installs_is_this_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (install,) = [step["run"] for step in STEPS if step.get("name") == INSTALL]
    assert install.split() == ["python", "-m", "pip", "install", f"{project['name']}=={wb.__version__}"]
    imported = re.findall(r"^(?:import|from) (\w+)", (EXAMPLES / "train.py").read_text(), re.MULTILINE)
    needed = {re.split(r"\W", requirement)[0] for requirement in project["dependencies"]} | {project["name"]}
    assert set(imported) - set(sys.stdlib_module_names) <= needed, "and nothing else has to be"


def test_nothing_that_others_write_is_put_into_a_command() -> None:
    """What an expression stands for would be run as it is: inputs come in by the environment."""
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []
    actions = [step["uses"] for step in STEPS if "uses" in step]
    assert [action.partition("@")[0] for action in actions] == ["actions/checkout", "actions/setup-python"]
