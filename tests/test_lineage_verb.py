"""``weighbridge lineage``: what people, programs and Graphviz see."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli
from weighbridge.core.values import Dataset, Relation

NewModel = Callable[[], str]
DATA = Dataset("transactions", "2026-10", "sha256:" + "ab" * 32, role="train")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def family(client: wb.Client, new_model: NewModel, weights: Path) -> dict[str, str]:
    """A diamond below one version, and a deleted version: root, left, right, merged, gone."""
    base, tuned = new_model(), new_model()
    refs: dict[str, str] = {}

    def push(name: str, model: str, *parents: tuple[str, Relation], **options: Any) -> None:
        of = [wb.Parent(refs[parent], relation) for parent, relation in parents]
        refs[name] = client.push(model, weights, parent=of, **options).version.ref

    push("root", base, datasets=[DATA, Dataset("web", digest="sha256:" + "cd" * 32)])
    push("left", base, ("root", Relation.FINE_TUNED))
    push("right", tuned, ("root", Relation.DISTILLED))
    push("merged", tuned, ("left", Relation.MERGED), ("right", Relation.MERGED))
    push("gone", tuned, ("merged", Relation.QUANTIZED))
    client.delete_version(refs["gone"], reason="too\nsmall")
    return refs


def test_people_see_trees(run_cli: RunCli, client: wb.Client, family: dict[str, str]) -> None:
    day = client.version(family["root"]).created_time.astimezone().strftime("%Y-%m-%d")
    data = "data: transactions:2026-10 (train), web sha256:cdcdcdcdcdcd…"

    def line(name: str, relation: str, more: str = "") -> str:
        return "  ".join(filter(None, [family[name], relation, "development", day, more]))

    both = run_cli("lineage", family["right"])
    assert (both.code, both.err) == (0, "")
    assert both.out.splitlines() == [
        line("right", ""),
        "made from",
        f"└─ {line('root', 'distilled', data)}",
        "made into",
        f"└─ {line('merged', 'merged')}",
        f"   └─ {line('gone', 'quantized', 'deleted: too' + chr(92) + 'nsmall')}",
    ]
    up = run_cli("lineage", family["merged"], "--up")
    assert up.out.splitlines() == [
        line("merged", ""),
        "made from",
        f"├─ {line('left', 'merged')}",
        f"│  └─ {line('root', 'fine-tuned', data)}",
        f"└─ {line('right', 'merged')}",
        f"   └─ {family['root']}  distilled  (see above)",
    ]
    down = run_cli("lineage", family["root"], "--down", "--depth", "1")
    assert down.out.splitlines() == [
        line("root", "", data),
        "made into",
        f"├─ {line('left', 'fine-tuned')}",
        f"└─ {line('right', 'distilled')}",
    ]
    alone = run_cli("lineage", client.push(family["root"].split(":")[0] + "x", __file__).version.ref)
    assert alone.out.splitlines()[1:] == ["made from nothing that is recorded", "nothing was made from it"]


def test_people_see_what_was_made_from_a_dataset(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    digest = f"sha256:{new_model()}"
    first = client.push(new_model(), weights, datasets=[Dataset("d", digest=digest)]).version.ref
    second = client.push(new_model(), weights, parent=first).version.ref
    lines = run_cli("lineage", "--dataset", digest).out.splitlines()
    assert lines[0] == f"made from the dataset {digest}"
    assert [line.split("  ")[0] for line in lines[1:]] == [f"└─ {first}", ""]
    assert lines[2].startswith(f"   └─ {second}  fine-tuned  development")
    assert run_cli("lineage", "--dataset", digest, "-q").out.split() == [first, second]
    assert run_cli("lineage", "--dataset", f"{digest}x").out == f"nothing was made from the dataset {digest}x\n"


def test_programs_see_one_document(run_cli: RunCli, family: dict[str, str]) -> None:
    document = run_cli("lineage", family["merged"], "--json").json
    assert (document["origin"], document["dataset_digest"], document["truncated"]) == (family["merged"], None, False)
    nodes = {node["ref"]: node for node in document["nodes"]}
    assert {ref: node["generation"] for ref, node in nodes.items()} == {
        family["merged"]: 0,
        family["left"]: -1,
        family["right"]: -1,
        family["gone"]: 1,
        family["root"]: -2,
    }
    assert nodes[family["root"]]["datasets"][0] == vars(DATA)
    assert nodes[family["gone"]]["deletion"]["reason"] == "too\nsmall"
    assert nodes[family["root"]]["deletion"] is None
    assert {"child": family["right"], "parent": family["root"], "relation": "distilled"} in document["edges"]
    assert len(document["edges"]) == 5
    none = run_cli("lineage", "--dataset", "sha256:nothing", "--json").json
    assert none == {"origin": None, "dataset_digest": "sha256:nothing", "nodes": [], "edges": [], "truncated": False}


def test_graphviz_reads_the_graph(run_cli: RunCli, family: dict[str, str]) -> None:
    ran = run_cli("lineage", family["merged"], "--dot")
    lines = ran.out.splitlines()
    assert (ran.code, lines[0], lines[-1]) == (0, "digraph lineage {", "}")
    assert f'  "{family["root"]}" -> "{family["right"]}" [label="distilled"];' in lines
    (gone,) = (line for line in lines if line.startswith(f'  "{family["gone"]}" ['))
    assert gone.endswith('\\ndeleted", style=dashed];')
    (origin,) = (line for line in lines if line.startswith(f'  "{family["merged"]}" ['))
    assert origin.endswith("penwidth=2];")
    assert ran.out.count(" -> ") == 5
    assert (dot := shutil.which("dot")) is None or "</svg>" in subprocess.run(
        [dot, "-Tsvg"], input=ran.out, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("a.b.c", "--dataset", "x"),
        ("--dataset", "x", "--up"),
        ("a.b.c", "--depth", "0"),
        ("a.b.c", "--dot", "--json"),
        ("a.b.c", "d.e.f"),
    ],
)
def test_what_the_parser_refuses_exits_2(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    ran = run_cli("lineage", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage" in ran.err


def test_a_refusal_is_one_line(run_cli: RunCli) -> None:
    ran = run_cli("lineage", "no.such.model:3")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: MODEL_NOT_FOUND: there is no model no.such.model")
    assert run_cli("lineage", "no.such.model:3", "--json").json["error"]["reason"] == "MODEL_NOT_FOUND"
