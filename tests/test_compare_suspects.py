"""Why a metric may be worse: what changed is named in words, what means nothing is not, the likeliest comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

import weighbridge as wb
from comparison_fixtures import MODEL, beside, made_version, two
from weighbridge.core.values import Record

DATA, CODE, PARAMETERS = wb.SuspectKind.DATA, wb.SuspectKind.CODE, wb.SuspectKind.PARAMETERS
ENVIRONMENT, PARENTS = wb.SuspectKind.ENVIRONMENT, wb.SuspectKind.PARENTS
A, B = "b3:" + "a" * 64, "b3:" + "b" * 64

SOURCE = wb.SourceCode(
    repository="https://git.example/fraud.git",
    commit="1a" * 20,
    branch="main",
    entry_point="train.py",
    command=("python3", "train.py", "--lr", "0.001", "--out", "runs/1"),
)
WHERE = wb.Environment(
    python="3.11.7",
    implementation="CPython",
    os="Debian 12",
    platform="Linux 6.1.0 x86_64",
    cpu="EPYC",
    cpu_count=8,
    accelerators=[wb.Accelerator("A100", 80_000_000_000, "535")] * 2,
    container_image="train:1",
    packages={"torch": "2.3.0", "numpy": "2.1", "click": "8.1"},
    lock_digest=A,
    host="gpu-1",
    user="ada",
)
RECORD = Record(
    params={"lr": 0.001, "layers": 12, "amp": True},
    tags={"dataset_version": "2026-09", "hardware_target": "gpu", "owner": "ada"},
    datasets=[wb.Dataset("transactions", "2026-09", role="train")],
    parents=[wb.Parent("base.text.bert:1")],
    source=SOURCE,
    environment=WHERE,
)


def changes(first: Record, second: Record, metric: str = "auc") -> dict[wb.SuspectKind, list[str]]:
    """What is suspected when a metric got worse."""
    values = ({metric: 1.0}, {metric: 2.0}) if metric == "latency_ms" else ({metric: 1.0}, {metric: 0.5})
    (found,) = two(first, second, metrics=values).suspects
    assert (found.version_index, found.metrics) == (1, (metric,))
    return {kind: list(said) for kind, said in found.changes.items()}


def sourced(**changed: object) -> Record:
    return replace(RECORD, source=replace(SOURCE, **changed))  # type: ignore[arg-type]


def placed(**changed: object) -> Record:
    return replace(RECORD, environment=replace(WHERE, **changed))  # type: ignore[arg-type]


def data(*datasets: wb.Dataset) -> Record:
    return replace(RECORD, datasets=datasets)


def test_what_got_better_or_stayed_suspects_nothing() -> None:
    other = Record(params={"lr": 1})
    for metrics in (({"auc": 0.8}, {"auc": 0.9}), ({"auc": 0.9}, {"auc": 0.9}), ({"auc": 0.9}, {"loss": 0.9})):
        assert two(RECORD, other, metrics=metrics).suspects == ()


def test_nothing_that_was_recorded_changed() -> None:
    (found,) = two(RECORD, RECORD).suspects
    assert (dict(found.changes), found.not_recorded) == ({}, ())


def test_what_was_not_recorded_cannot_be_ruled_out() -> None:
    (found,) = two(Record(), Record()).suspects
    assert (dict(found.changes), found.not_recorded) == ({}, (DATA, PARAMETERS, CODE, ENVIRONMENT))
    (found,) = two(RECORD, replace(RECORD, source=None, environment=replace(WHERE, packages={}))).suspects
    assert (dict(found.changes), found.not_recorded) == ({}, (CODE, ENVIRONMENT))


TRAIN = "dataset transactions (train)"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (wb.Dataset("t", "1"), wb.Dataset("t", "2"), ["dataset t 1 -> 2"]),
        (wb.Dataset("t", "1", "sha256:aa"), wb.Dataset("t", "2", "sha256:bb"), ["dataset t 1 -> 2"]),
        (wb.Dataset("t", "1", "aa"), wb.Dataset("t", "1", "bb"), ["dataset t 1: digest aa… -> bb…"]),
        (
            wb.Dataset("t", "1", "of the export of 2026-09"),
            wb.Dataset("t", "1", "of the export of 2026-10"),
            ["dataset t 1: digest of the export of 2026-09 -> of the export of 2026-10"],
        ),
        (wb.Dataset("t", "1", "aa"), wb.Dataset("t", "2", "aa"), []),
        (wb.Dataset("t", "1", "aa", "s3://a"), wb.Dataset("t", "1", "aa", "s3://b"), []),
        (wb.Dataset("t", "1", "aa"), wb.Dataset("t", "1"), []),
        (wb.Dataset("t", uri="s3://a"), wb.Dataset("t", uri="s3://b"), ["dataset t: URI s3://a -> s3://b"]),
        (wb.Dataset("t", "1"), wb.Dataset("u", "1"), ["dataset t removed, was 1", "dataset u 1 added"]),
        (wb.Dataset("t"), wb.Dataset("u"), ["dataset t removed", "dataset u added"]),
        (wb.Dataset("t", "1"), wb.Dataset("t", "1", role="x"), ["dataset t removed, was 1", "dataset t (x) 1 added"]),
    ],
)
def test_data(before: wb.Dataset, after: wb.Dataset, said: list[str]) -> None:
    assert changes(data(before), data(after)) == ({DATA: said} if said else {})


def test_datasets_of_one_name_and_role_are_compared_together() -> None:
    both = (wb.Dataset("t", "1"), wb.Dataset("t", "2"))
    assert changes(data(*both), data(*both[::-1])) == {}
    assert changes(data(*both), data(both[0])) == {DATA: ["dataset t 1; 2 -> 1"]}


def test_the_tag_that_names_the_data_counts_and_other_tags_do_not() -> None:
    tags = {"dataset_version": "2026-10", "hardware_target": "gpu", "owner": "bob"}
    assert changes(RECORD, replace(RECORD, tags=tags)) == {DATA: ["tag dataset_version 2026-09 -> 2026-10"]}


def test_parameters_with_chance_and_names_of_runs_last() -> None:
    before: dict[str, wb.Scalar] = {"seed": 1, "output_dir": "a", "lr": 0.001, "layers": 12, "amp": True}
    after: dict[str, wb.Scalar] = {"seed": 2, "output_dir": "b", "lr": 0.01, "amp": False, "warmup": 100}
    found = changes(replace(RECORD, params=before), replace(RECORD, params=after))
    assert found == {
        PARAMETERS: [
            "amp true -> false",
            "layers removed, was 12",
            "lr 0.001 -> 0.01",
            "warmup 100 added",
            "output_dir a -> b",
            "seed 1 -> 2",
        ]
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("32", 32, 'p "32" -> 32'),
        (32, "32", 'p 32 -> "32"'),
        (True, "true", 'p true -> "true"'),
        ("1.0", 1.0, 'p "1.0" -> 1.0'),
        ("a b", "a  b", 'p "a b" -> "a  b"'),
        ("a\nb", "a b", r'p "a\nb" -> "a b"'),
        ("a", "b", "p a -> b"),
        ("x" * 500 + "left", "x" * 500 + "right", f"p …{'x' * 30}left -> …{'x' * 30}right"),
        ("x" * 500, "x" * 500 + "y", f"p …{'x' * 30} -> …{'x' * 30}y"),
        ("x" * 110 + "l" * 50, "x" * 110 + "r", f"p {'x' * 110}{'l' * 10}… -> {'x' * 110}r"),
    ],
)
def test_what_differs_reads_differently(before: wb.Scalar, after: wb.Scalar, said: str) -> None:
    assert changes(replace(RECORD, params={"p": before}), replace(RECORD, params={"p": after})) == {PARAMETERS: [said]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"commit": "3c" * 20}, ["commit 1a1a1a1a1a1a… -> 3c3c3c3c3c3c…"]),
        ({"diff_digest": A, "dirty": True}, ["uncommitted changes to tracked files, none before"]),
        ({"untracked_digest": A, "dirty": True}, ["uncommitted untracked files, none before"]),
        ({"entry_point": "tune.py"}, ["entry point train.py -> tune.py"]),
        ({"repository": "https://x/y"}, ["repository https://git.example/fraud.git -> https://x/y"]),
        ({"branch": "other"}, []),
        ({"command": ("/opt/bin/python", *SOURCE.command[1:])}, []),
        ({"command": ("python3", "train.py", "--lr", "0.001", "--out=runs/2")}, []),
        (
            {"command": ("python3", "train.py", "--lr=0.1", "--amp")},
            ["command: --amp added", "command: --lr 0.001 -> 0.1"],
        ),
        ({"command": ("python3", "train.py", "--lr", "-1e-3")}, ["command: --lr 0.001 -> -1e-3"]),
        ({"command": ()}, []),
    ],
)
def test_code(changed: dict[str, object], said: list[str]) -> None:
    assert changes(RECORD, sourced(**changed)) == ({CODE: said} if said else {})


def test_uncommitted_changes_on_both_sides() -> None:
    one, other = sourced(diff_digest=A, dirty=True), sourced(diff_digest=B, dirty=True)
    assert changes(one, one) == {}
    assert changes(one, other) == {CODE: ["other uncommitted changes to tracked files"]}
    assert changes(one, RECORD) == {CODE: ["no uncommitted changes to tracked files, some before"]}


def test_untracked_files_on_both_sides_leave_the_code_in_doubt() -> None:
    one, other = sourced(untracked_digest=A, dirty=True), sourced(untracked_digest=B, dirty=True)
    (found,) = two(one, one).suspects
    assert (dict(found.changes), found.not_recorded) == ({}, (CODE,))
    (found,) = two(one, other).suspects
    assert dict(found.changes) == {CODE: ("other uncommitted untracked files",)}
    assert found.not_recorded == ()
    (found,) = two(RECORD, other).suspects
    assert found.not_recorded == ()


@pytest.mark.parametrize("entry_point", ["/venv/bin/weighbridge", "weighbridge.cli.main"])
def test_the_command_line_of_a_push_made_no_weights(entry_point: str) -> None:
    one, other = (
        sourced(entry_point=entry_point, command=("weighbridge", "push", "a.b.c", f"--metric=auc={auc}"))
        for auc in (1.0, 0.5)
    )
    assert changes(one, other) == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"python": "3.12.0"}, ["python 3.11.7 -> 3.12.0"]),
        ({"os": "Debian 13"}, ["os Debian 12 -> Debian 13"]),
        ({"cpu": "Xeon"}, ["cpu EPYC -> Xeon"]),
        ({"container_image": "train:2"}, ["container image train:1 -> train:2"]),
        ({"container_image": ""}, []),
        ({"platform": "", "os": "", "cpu": ""}, []),
        ({"platform": "Linux 6.1.0 aarch64"}, ["architecture x86_64 -> aarch64"]),
        ({"accelerators": ()}, ["accelerators removed, was 2 x A100, 80.0 GB, driver 535"]),
        ({"packages": {**WHERE.packages, "torch": "2.4.1"}}, ["torch 2.3.0 -> 2.4.1"]),
        ({"packages": {"torch": "2.3.0", "numpy": "2.1", "peft": "1"}}, ["peft 1 added", "click removed, was 8.1"]),
        ({"host": "gpu-2", "user": "bob", "platform": "Linux 6.2.0 x86_64", "cpu_count": 4, "lock_digest": B}, []),
    ],
)
def test_environment(changed: dict[str, object], said: list[str]) -> None:
    assert changes(RECORD, placed(**changed)) == ({ENVIRONMENT: said} if said else {})


def test_the_packages_that_compute_come_first_and_the_others_are_counted() -> None:
    before, after = ({f"p{number}": version for number in range(7)} | {"torch": version} for version in ("1", "2"))
    (said,) = changes(placed(packages=before), placed(packages=after)).values()
    assert said == ["torch 1 -> 2", *(f"p{number} 1 -> 2" for number in range(4)), "and 3 other packages"]


def test_a_lock_file_stands_for_packages_that_are_not_recorded() -> None:
    one, other = (placed(packages={}, lock_digest=digest) for digest in (A, B))
    (found,) = two(one, other).suspects
    assert dict(found.changes) == {ENVIRONMENT: ("another lock file",)}
    assert found.not_recorded == (ENVIRONMENT,)


def test_what_makes_it_slow_is_sought_where_it_runs() -> None:
    slower = placed(cpu_count=4, platform="Linux 6.2.0 x86_64")
    assert changes(RECORD, slower) == {}
    assert changes(RECORD, slower, "latency_ms") == {
        ENVIRONMENT: ["cpu count 8 -> 4", "platform Linux 6.1.0 x86_64 -> Linux 6.2.0 x86_64"]
    }


def test_parents() -> None:
    def made(*refs: str) -> Record:
        return replace(RECORD, parents=[wb.Parent(ref) for ref in refs])

    assert changes(made("base.text.bert:1"), made("base.text.bert:2")) == {
        PARENTS: ["parent base.text.bert:1 -> base.text.bert:2"]
    }
    assert changes(made(), made(f"{MODEL}:1")) == {
        PARENTS: [f"parent {MODEL}:1 added, fine-tuned ({MODEL}:1 is what it is compared with)"]
    }
    assert changes(made("base.text.bert:1"), made("base.text.bert:1", "base.text.bert:2")) == {
        PARENTS: ["parent base.text.bert:2 added, fine-tuned"]
    }
    assert changes(made("base.text.bert:1"), made()) == {PARENTS: ["parent base.text.bert:1 removed"]}
    merged = replace(RECORD, parents=[wb.Parent("base.text.bert:1", wb.Relation.MERGED)])
    assert changes(RECORD, merged) == {PARENTS: ["parent base.text.bert:1: fine-tuned -> merged"]}


CHANGED = Record(
    params={"lr": 0.01},
    tags={"dataset_version": "2026-10", "hardware_target": "cpu"},
    datasets=[wb.Dataset("transactions", "2026-10", role="train")],
    parents=[wb.Parent("base.text.bert:2")],
    source=replace(SOURCE, commit="3c" * 20),
    environment=replace(WHERE, python="3.12.0"),
)


def test_the_likeliest_comes_first() -> None:
    metrics = ({"auc": 0.9, "f1": 0.9, "latency_ms": 2.0}, {"auc": 0.8, "f1": 0.95, "latency_ms": 3.0})
    quality, cost = two(RECORD, CHANGED, metrics=metrics).suspects
    assert (quality.metrics, tuple(quality.changes)) == (("auc",), (DATA, PARAMETERS, CODE, PARENTS, ENVIRONMENT))
    assert (cost.metrics, tuple(cost.changes)) == (("latency_ms",), (ENVIRONMENT, CODE, PARAMETERS, PARENTS, DATA))
    assert quality.changes[ENVIRONMENT] == ("python 3.11.7 -> 3.12.0", "tag hardware_target gpu -> cpu")


def test_each_version_is_held_against_the_first() -> None:
    records = [RECORD, replace(RECORD, params={**RECORD.params, "lr": 0.01}), RECORD]
    values = [{"auc": 0.9}, {"auc": 0.8}, {"auc": 0.7}]
    versions = [made_version(place + 1, record, values[place]) for place, record in enumerate(records)]
    second, third = beside(versions).suspects
    assert (second.version_index, dict(second.changes)) == (1, {PARAMETERS: ("lr 0.001 -> 0.01",)})
    assert (third.version_index, dict(third.changes)) == (2, {})


def test_changes_are_bounded() -> None:
    before: dict[str, wb.Scalar] = {f"p{number:04}": "x" * 10_000 for number in range(6)} | {
        f"q{number}": 0 for number in range(100)
    }
    (said,) = changes(replace(RECORD, params=before), replace(RECORD, params={})).values()
    assert len(said) == 11
    assert said[-1] == "and 96 more"
    assert max(map(len, said)) < 200
