"""Shell completion, asked as the shells ask."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import WEIGHBRIDGE, RunCli, RunningServer

NewModel = Callable[[], str]

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(server: RunningServer) -> Ask:
    """What completes the last of these words, as bash is told."""

    def run(*words: str, address: str = server.address) -> list[str]:
        environment = {
            **os.environ,
            "WEIGHBRIDGE_SERVER": address,
            "_WEIGHBRIDGE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("weighbridge", *words)),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(WEIGHBRIDGE, capture_output=True, text=True, env=environment, check=False)
        assert done.stderr == ""
        return done.stdout.split()

    return run


@pytest.mark.parametrize("verb", ["push", "pull", "versions", "show", "resolve", "reproduce"])
def test_models_complete_from_the_server(ask: Ask, client: wb.Client, new_model: NewModel, verb: str) -> None:
    model = new_model()
    client.create_model(model)
    assert ask(verb, model) == [f"plain,{one.name}" for one in client.models() if one.name.startswith(model)]
    assert f"plain,{model}" in ask(verb, "--json", "test.")
    assert ask(verb, "no.such") == []


def test_the_flag_names_the_server(ask: Ask, server: RunningServer, client: wb.Client, new_model: NewModel) -> None:
    model = new_model()
    client.create_model(model)
    assert f"plain,{model}" in ask("show", "--server", server.address, "test.", address="127.0.0.1:1")
    assert f"plain,{model}" in ask("--server", server.address, "show", "test.", address="127.0.0.1:1")
    assert f"plain,{model}" in ask("push", "a.b.c", "--parent", "test.")


def test_models_complete_under_the_verbs_of_model(ask: Ask, client: wb.Client, new_model: NewModel) -> None:
    there, deleted = new_model(), new_model()
    for model in (there, deleted):
        client.create_model(model)
    client.delete_model(deleted, reason="x")
    for verb in ("show", "update", "delete"):
        found = ask("model", verb, "test.")
        assert f"plain,{there}" in found
        assert f"plain,{deleted}" not in found
    found = ask("model", "restore", "test.")
    assert f"plain,{deleted}" in found
    assert f"plain,{there}" not in found
    assert ask("model", "re") == ["plain,restore"]
    assert ask("model", "create", "a.b.c", "--card", "no") == ["file,no"]


def test_verbs_options_and_paths_complete(ask: Ask) -> None:
    assert ask("ver") == ["plain,verify", "plain,version", "plain,versions"]
    assert "plain,--quiet" in ask("push", "--qu")
    assert ask("push", "a.b.c", "chec") == ["file,chec"]
    assert ask("pull", "a.b.c", "mod") == ["dir,mod"]
    assert ask("verify", "mod") == ["dir,mod"]
    assert ask("completion", "") == ["plain,bash", "plain,zsh", "plain,fish"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "no-such-host.invalid:8420", "\udcff:1"])
def test_no_server_means_no_models_and_no_word(ask: Ask, address: str) -> None:
    assert ask("versions", "te", address=address) == []


@pytest.mark.timeout(25)  # another call would wait for 30 s
def test_a_server_that_does_not_answer_is_not_waited_for(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert ask("versions", "te", address=f"127.0.0.1:{silent.getsockname()[1]}") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_this_program(run_cli: RunCli, shell: str) -> None:
    ran = run_cli("completion", shell, address="127.0.0.1:1")
    assert (ran.code, ran.err) == (0, "")
    assert f"_WEIGHBRIDGE_COMPLETE={shell}_complete" in ran.out
    assert run_cli("completion", "tcsh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_itself_completes(server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path) -> None:
    model = new_model()
    client.create_model(model)
    (tmp_path / "weighbridge").write_text(f'#!/bin/sh\nexec {" ".join(WEIGHBRIDGE)} "$@"\n')
    (tmp_path / "weighbridge").chmod(0o755)
    script = f"""
        eval "$(weighbridge completion bash)"
        complete -p weighbridge
        COMP_WORDS=(weighbridge show {model}) COMP_CWORD=2
        _weighbridge_completion weighbridge
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "WEIGHBRIDGE_SERVER": server.address,
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stderr == ""
    assert "-F _weighbridge_completion weighbridge" in done.stdout
    assert model in done.stdout.splitlines()
