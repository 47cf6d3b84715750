"""What the files of versions have in common, by the database's rows: held against what sets say in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_fixtures import MODEL, Storage, chunk, open_storage
from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.comparison import FileCounts
from weighbridge.core.errors import InvalidRequest, ModelNotFound, UsageError, VersionNotFound
from weighbridge.core.values import Version
from weighbridge_server.domain.comparison.comparisons import Comparisons
from weighbridge_server.domain.comparison.ports import FilesBeside

Files = dict[str, list[int]]
"""Paths, and the numbers of the chunks that each file consists of."""

PATHS = ["a", "b/c", "é", "z"]
CHUNKS = [chunk(number, 100 + number) for number in range(6)]


@pytest.fixture(scope="module")
def storage(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with open_storage(postgres_url, tmp_path_factory.mktemp("store") / "packs") as storage:
        yield storage


def pushed(storage: Storage, files: Files, model: str = MODEL) -> Version:
    return storage.push({path: _chunks(numbers) for path, numbers in files.items()}, model=model)


def _chunks(numbers: Sequence[int]) -> list[EncodedChunk]:
    return [CHUNKS[number] for number in numbers]


def read(storage: Storage, versions: Sequence[Version], most: int = 1000) -> FilesBeside:
    with storage.catalog.transaction() as tx:
        return tx.comparisons.files(versions, most)


def size(numbers: Sequence[int]) -> int:
    return sum(100 + number for number in numbers)


@pytest.mark.long
@given(
    st.lists(
        st.dictionaries(st.sampled_from(PATHS), st.lists(st.integers(0, 5), max_size=4), min_size=1),
        min_size=2,
        max_size=4,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_what_sets_say(storage: Storage, contents: list[Files]) -> None:
    found = read(storage, [pushed(storage, files) for files in contents])
    first = contents[0]
    held = {number for numbers in first.values() for number in numbers}
    assert found.shared_bytes == [
        size([number for numbers in files.values() for number in numbers if number in held]) for files in contents
    ]
    assert found.counts == [
        FileCounts(
            added=len(files.keys() - first.keys()),
            removed=len(first.keys() - files.keys()),
            changed=sum(files[path] != first[path] for path in files.keys() & first.keys()),
        )
        for files in contents
    ]
    paths = sorted({path for files in contents for path in files}, key=str.encode)
    differing = [path for path in paths if any(files.get(path) != first.get(path) for files in contents)]
    assert [file.path for file in found.differing] == differing
    assert found.differing_total == len(differing)
    for file in found.differing:
        assert file.sizes == tuple(size(files[file.path]) if file.path in files else None for files in contents)
        alike = {root: files.get(file.path) for root, files in zip(file.roots, contents, strict=True)}
        assert [alike[root] for root in file.roots] == [files.get(file.path) for files in contents]


def test_a_version_shares_all_with_itself_and_with_its_like_in_another_model(storage: Storage) -> None:
    one = pushed(storage, {"a": [0, 1, 1], "z": []})
    like = pushed(storage, {"a": [0, 1, 1], "z": []}, model="vision.other.resnet")
    found = read(storage, [one, one, like])
    assert found == FilesBeside([], 0, [FileCounts()] * 3, [size([0, 1, 1])] * 3)


def test_a_chunk_that_moved_into_another_file_is_shared_as_often_as_it_is_there(storage: Storage) -> None:
    first = pushed(storage, {"a": [0, 1]})
    second = pushed(storage, {"b/c": [1, 2, 1], "z": [1, 2, 1]})
    assert read(storage, [first, second]).shared_bytes == [size([0, 1]), size([1, 1, 1, 1])]
    assert read(storage, [second, first]).shared_bytes == [size([1, 2, 1, 1, 2, 1]), size([1])]


def test_of_many_files_the_first_are_listed_and_all_are_counted(storage: Storage) -> None:
    first = pushed(storage, {f"{number:03}": [0] for number in range(120)})
    second = pushed(storage, {f"{number:03}": [1] for number in range(100)})
    found = read(storage, [first, second], most=10)
    assert [file.path for file in found.differing] == [f"{number:03}" for number in range(10)]
    assert found.differing_total == 120
    assert found.counts == [FileCounts(), FileCounts(removed=20, changed=100)]
    assert read(storage, [first, first], most=10).differing_total == 0


def test_what_cannot_be_compared_is_refused(storage: Storage) -> None:
    comparisons = Comparisons(storage.catalog)
    ref = pushed(storage, {"a": [0]}).ref
    assert comparisons.compare([ref] * 16, [], []).file_counts == (FileCounts(),) * 16
    for refs in ([], [ref], [ref] * 17):
        with pytest.raises(UsageError, match="2 to 16"):
            comparisons.compare(refs, [], [])
    with pytest.raises(VersionNotFound, match="999"):
        comparisons.compare([ref, f"{MODEL}:999"], [], [])
    with pytest.raises(ModelNotFound):
        comparisons.compare([ref, "no.such.model"], [], [])
    with pytest.raises(InvalidRequest):
        comparisons.compare([ref, ref], ["auc"], ["auc"])
