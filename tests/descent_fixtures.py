"""Versions with parents, made on the server's own storage."""

from __future__ import annotations

from collections.abc import Sequence

from storage_fixtures import MODEL, Storage, chunk, file_of
from weighbridge.core.lineage import Lineage
from weighbridge.core.manifest import manifest_digest
from weighbridge.core.values import Dataset, Parent, Record, Relation, Scalar, Version

ONE = chunk("the same weights every time")
FILES = [file_of("weights.bin", [ONE])]


def record(
    *parents: str | tuple[str, Relation],
    datasets: Sequence[Dataset] = (),
    tags: dict[str, Scalar] | None = None,
    description: str = "",
) -> Record:
    """A record with these parents."""
    pairs = [(parent, Relation.FINE_TUNED) if isinstance(parent, str) else parent for parent in parents]
    return Record(
        description=description,
        tags=tags or {},
        datasets=tuple(datasets),
        parents=tuple(Parent(ref, relation) for ref, relation in pairs),
    )


def begun(storage: Storage, of: Record, model: str = MODEL, actor: str = "ada") -> str:
    """The id of an upload that has all its files and waits for its commit."""
    with storage.catalog.transaction(actor) as tx:
        tx.models.add(model, actor, "")
    upload_id = storage.uploads.begin(actor, "", model, of).upload_id
    if storage.uploads.find_missing(actor, upload_id, [ONE.digest]):
        storage.send(upload_id, [ONE], actor)
    storage.uploads.put_manifest(actor, upload_id, FILES)
    return upload_id


def committed(storage: Storage, upload_id: str, of: Record, actor: str = "ada") -> Version:
    """Commits what ``begun`` began."""
    return storage.uploads.commit(actor, upload_id, manifest_digest(FILES), of, [])


def made(
    storage: Storage, *parents: str | tuple[str, Relation], model: str = MODEL, datasets: Sequence[Dataset] = ()
) -> str:
    """A version with these parents and this data; its reference."""
    of = record(*parents, datasets=datasets)
    return committed(storage, begun(storage, of, model), of).ref


def generations(lineage: Lineage) -> dict[str, int]:
    """Of each version in it; none is there twice."""
    found = {node.version.ref: node.generation for node in lineage.nodes}
    assert len(found) == len(lineage.nodes)
    return found


def steps(lineage: Lineage) -> set[tuple[str, str, str]]:
    """Child, parent and relation."""
    found = {(edge.child, edge.parent, str(edge.relation)) for edge in lineage.edges}
    assert len(found) == len(lineage.edges)
    return found
