"""A lineage is what a plain graph says, however long its lines are and whatever is recorded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from descent_fixtures import generations, made, steps
from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.lineage import Direction, Lineage
from weighbridge.core.values import Dataset, Relation
from weighbridge.wire import convert
from weighbridge_server.domain.registry.lineage import Lineages


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


Graph = Mapping[int, Mapping[int, Relation]]
"""Of each version its parents, and how it came from each."""


DIRECTIONS: Sequence[Direction] = ("up", "down", "both")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Versions 0, 1, 2 …, each with any of the earlier ones as parents."""
    count = draw(st.integers(2, 9))
    return {
        child: draw(st.dictionaries(st.sampled_from(range(child)), st.sampled_from(Relation), max_size=4))
        if child
        else {}
        for child in range(count)
    }


def distances(graph: Graph, origins: Sequence[int], down: bool) -> dict[int, int]:
    """How far each version is that can be reached, by the shortest way; one generation after the other."""
    found: dict[int, int] = {}
    reached = set(origins)
    distance = 0
    while reached:
        found |= dict.fromkeys(reached, distance)
        distance += 1
        if down:
            following = {child for child in graph for parent in graph[child] if parent in reached}
        else:
            following = {parent for child in reached for parent in graph[child]}
        reached = following - found.keys()
    return found


def expected(graph: Graph, origins: Sequence[int], direction: Direction, depth: int) -> dict[int, int]:
    """The generation of each version that a lineage must list."""
    up = distances(graph, origins, down=False) if direction in ("up", "both") else {}
    down = distances(graph, origins, down=True) if direction in ("down", "both") else {}
    found = {version: -distance for version, distance in up.items()} | down
    return {version: generation for version, generation in found.items() if not depth or abs(generation) <= depth}


@pytest.mark.long
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs(), models=st.lists(st.integers(0, 2), min_size=9, max_size=9), data=st.data())
def test_a_lineage_is_what_a_plain_graph_says(
    storage: Storage, graph: Graph, models: list[int], data: st.DataObject
) -> None:
    run = storage.sql("SELECT count(*) FROM version")[0][0]
    with_data = data.draw(st.sets(st.sampled_from(range(len(graph)))))
    digest = f"sha256:{run}"
    refs: list[str] = []
    for child, parents in graph.items():
        datasets = [Dataset("d", digest=digest)] if child in with_data else []
        of = [(refs[parent], relation) for parent, relation in parents.items()]
        refs.append(made(storage, *of, model=f"run.r{run}.m{models[child]}", datasets=datasets))
    lineages = Lineages(storage.catalog)
    edges = {(refs[child], refs[parent], str(relation)) for child in graph for parent, relation in graph[child].items()}

    def check(lineage: Lineage, wanted: Mapping[int, int]) -> None:
        assert generations(lineage) == {refs[version]: generation for version, generation in wanted.items()}
        distance = [abs(node.generation) for node in lineage.nodes]
        assert distance == sorted(distance)
        assert steps(lineage) == {edge for edge in edges if {edge[0], edge[1]} <= {refs[version] for version in wanted}}
        assert not lineage.truncated

    for depth, origin, direction in itertools.product((0, 1, 2), graph, DIRECTIONS):
        lineage = lineages.of_version(refs[origin], direction, depth)
        assert lineage.nodes[0].version.ref == refs[origin]
        check(lineage, expected(graph, [origin], direction, depth))
    for depth in (0, 1, 2):
        check(lineages.of_dataset(digest, depth), expected(graph, sorted(with_data), "down", depth))
    most = data.draw(st.integers(1, len(graph)))
    some = Lineages(storage.catalog, most=most).of_version(refs[0], "down", 0)
    nearest = expected(graph, [0], "down", 0)
    assert sorted(node.generation for node in some.nodes) == sorted(nearest.values())[:most]
    assert generations(some).items() <= {refs[version]: far for version, far in nearest.items()}.items()
    assert some.truncated == (most < len(nearest))


def test_a_long_line_is_one_call(storage: Storage) -> None:
    origin = made(storage)
    storage.sql("INSERT INTO metric_log (id) OVERRIDING SYSTEM VALUE SELECT generate_series(1001, 4000)")
    storage.sql(
        """
        INSERT INTO version (model_id, number, manifest, stage, creator, files_total, bytes_total, chunks_total,
                             record, metric_log_id)
        SELECT model_id, n + 1, manifest, stage, creator, 0, 0, 0, record, n + 1000
        FROM version CROSS JOIN generate_series(1, 3000) AS n ORDER BY n
        """
    )
    storage.sql(
        """
        INSERT INTO version_parent (version_id, parent_id, relation)
        SELECT c.id, p.id, 'fine-tuned' FROM version c JOIN version p ON p.number = c.number - 1
        """
    )
    lineages = Lineages(storage.catalog)
    assert [node.generation for node in lineages.of_version(origin, "down", 0).nodes] == list(range(3001))
    assert len(lineages.of_version(f"{MODEL}:3001", "up", 0).nodes) == 3001
    assert len(lineages.of_version(f"{MODEL}:1500", "both", 100).nodes) == 201
    first = Lineages(storage.catalog, most=1000).of_version(origin, "down", 0)
    assert [node.generation for node in first.nodes] == list(range(1000))
    assert first.truncated


@pytest.mark.long
def test_an_answer_fits_a_message_whatever_is_recorded(storage: Storage) -> None:
    long = [Dataset(f"{number:03}", "é" * 100, "x" * 200, "y" * 1800, "train") for number in range(25)]
    origin = made(storage, datasets=long)
    for _ in range(99):
        made(storage, origin, datasets=long)
    lineage = Lineages(storage.catalog).of_version(origin, "both", 0)
    assert lineage.truncated
    assert 50 < len(lineage.nodes) < 100
    assert convert.lineage_message(lineage).ByteSize() < 4 * 1024 * 1024
    assert {edge.child for edge in lineage.edges} == {node.version.ref for node in lineage.nodes[1:]}
