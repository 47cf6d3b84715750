"""A comparison on a real terminal of 80 columns: nothing is left out, and nothing runs out of its column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli
from test_terminal import COLUMNS, OpenTerminal, lines_of, terminal

__all__ = ["terminal"]

NewModel = Callable[[], str]
Versions = Callable[..., list[str]]

LONG = "metric/of/a/name/that/is/longer/than/the/half/of/a/line/of/a/terminal"
FOLDER = "folder/" * 12


@pytest.fixture
def versions(client: wb.Client, new_model: NewModel, tmp_path: Path) -> Versions:
    """Pushes versions with these metrics; their parameters, tags and files have long names, and differ."""

    def push(*metrics: dict[str, float], names: Sequence[str] = ("long",)) -> list[str]:
        model, refs = new_model(), []
        for number, one in enumerate(metrics, 1):
            folder = tmp_path / f"{number}" / FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "w.bin").write_bytes(b"w" * number)
            params: dict[str, wb.Scalar] = {name: f"{number} {name * 30}" for name in names}
            refs.append(
                client.push(model, tmp_path / f"{number}", metrics=one, params=params, capture=False).version.ref
            )
        return refs

    return push


def rows_below(lines: list[str], name: str) -> list[list[str]]:
    """The lines under a name that stands alone, as words."""
    place = next(place for place, line in enumerate(lines) if line.strip().startswith(name) and len(line.split()) == 1)
    found = []
    for line in lines[place + 1 :]:
        if not line.startswith("  "):
            break
        found.append(line.split())
    return found


def test_of_three_versions_every_value_is_there(terminal: OpenTerminal, versions: Versions) -> None:
    refs = versions(*({f"{LONG}_loss": value, "auc": value} for value in (1.25, 1.5, 0.75)))
    screen = terminal("compare", *refs)
    assert screen.end() == 0
    lines = lines_of(screen.plain)
    assert rows_below(lines, f"{LONG}_loss") == [
        ["BETTER", "lower"],
        [":1", "1.25"],
        [":2", "1.5", "+0.25", "worse"],
        [":3", "0.75", "-0.5", "better"],
    ]
    assert rows_below(lines, "long") == [[f":{number}", f"{number}", "long" * 30] for number in (1, 2, 3)]
    sizes = [[words[0], *words[-2:]] for words in rows_below(lines, next(line for line in lines if "w.bin" in line))]
    assert sizes == [[f":{number}", f"{number}", "B"] for number in (1, 2, 3)]
    assert all(len(words) == 4 for words in rows_below(lines, next(line for line in lines if "w.bin" in line)))
    assert ["auc", "higher", ":1", "1.25"] in [line.split() for line in lines]


def test_a_long_reference_is_not_left_out(
    terminal: OpenTerminal, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = f"{new_model()}{'x' * 50}"
    client.create_model(model)
    (tmp_path / "w").write_bytes(b"w")
    client.push(model, tmp_path / "w", capture=False)
    screen = terminal("compare", f"{model}:1", f"{model}:1")
    assert screen.end() == 0
    assert screen.plain.count(f"{model}:1") == 2
    assert screen.plain.count("development") == 2


def test_the_heading_of_the_suspects_is_broken_between_words(terminal: OpenTerminal, versions: Versions) -> None:
    names = [f"carbon_of_the_{place}th_training_kgco2e_loss" for place in range(9)]
    screen = terminal("compare", *versions(dict.fromkeys(names, 1.0), dict.fromkeys(names, 2.0)))
    assert screen.end() == 0
    lines = lines_of(screen.plain)
    why = next(place for place, line in enumerate(lines) if line.startswith("why "))
    heading = lines[why : next(place for place in range(why, len(lines)) if lines[place].endswith("worse in :2")) + 1]
    assert max(map(len, heading)) <= COLUMNS
    assert " ".join(" ".join(heading).split()) == (f"why {', '.join(names[:6])} and 3 more may be worse in :2")


def test_values_that_look_like_digests_are_whole_and_not_taken_for_the_same(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    (tmp_path / "w").write_bytes(b"w")
    model = new_model()
    values = ["0123456789ab" + end * 12 for end in "cde"]
    for value in values:
        client.push(model, tmp_path / "w", params={"run": value}, tags={"id": f"1{value.replace('c', '0')}"})
    refs = [f"{model}:{number}" for number in (1, 2, 3)]
    rows = [line.split() for line in run_cli("compare", *refs).out.splitlines()]
    assert [row[-1] for row in rows if row[-1:] and row[-1] in values] == values
    assert ["run", *values[:2]] in [line.split() for line in run_cli("compare", *refs[:2]).out.splitlines()]


def test_how_files_were_pushed_from_the_command_line_is_left_out(
    run_cli: RunCli, new_model: NewModel, tmp_path: Path
) -> None:
    (tmp_path / "w").write_bytes(b"w")
    model = new_model()
    for auc in (0.5, 0.25):
        assert run_cli("push", model, tmp_path / "w", "--metric", f"auc={auc}").code == 0
    shown = run_cli("compare", f"{model}:1", f"{model}:2").out
    assert "worse" in shown
    assert "auc=0.25" not in shown
    assert "auc=0.25" in run_cli("compare", f"{model}:1", f"{model}:2", "--all").out


def test_books_are_neither_better_nor_worse(run_cli: RunCli, versions: Versions) -> None:
    refs = versions({"epoch": 9.0, "learning_rate": 0.1, "auc": 0.9}, {"epoch": 3.0, "learning_rate": 0.1, "auc": 0.8})
    ran = run_cli("compare", *refs)
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["epoch", "-", "9", "3", "-6"] in rows
    assert ["learning_rate", "-", "0.1", "0.1", "0", "same"] in rows
    assert "why auc may be worse in :2" in ran.out
    document = run_cli("compare", *refs, "--json").json
    told = {one["name"]: (one["lower_is_better"], one["better"]) for one in document["metrics"]}
    assert told == {
        "auc": (False, [None, False]),
        "epoch": (None, [None, None]),
        "learning_rate": (None, [None, None]),
    }
    asked = run_cli("compare", *refs, "--higher", "epoch", "--json").json
    assert asked["suspects"][0]["metrics"] == ["auc", "epoch"]
