"""What versions have in common, by their rows. Equal content is one row, so ids say what digests would."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from weighbridge.core.comparison import FileCounts, FileDifference
from weighbridge.core.values import Version
from weighbridge_server.domain.comparison.ports import FilesBeside
from weighbridge_server.storage.database import PooledDatabase

# The work must not grow with what else the registry holds, whatever the planner guesses of lists that may have one
# entry or a million: every list is read by an index on the keys of an array, and lists are joined by hashing.
_SHARED = """
    WITH first_content AS MATERIALIZED (
        SELECT DISTINCT content_id AS id FROM version_file WHERE version_id = %s
    ),
    held AS MATERIALIZED (
        SELECT version_id, content_id FROM version_file WHERE version_id = ANY(%s::bigint[])
    ),
    other_content AS MATERIALIZED (
        SELECT DISTINCT content_id AS id FROM held WHERE content_id NOT IN (SELECT id FROM first_content)
    ),
    first_chunk AS MATERIALIZED (
        SELECT DISTINCT chunk_id FROM content_chunk
        WHERE content_id = ANY(ARRAY(SELECT id FROM first_content WHERE EXISTS (SELECT FROM other_content)))
    ),
    both_have AS MATERIALIZED (
        SELECT l.content_id, l.chunk_id FROM content_chunk l JOIN first_chunk o ON o.chunk_id = l.chunk_id
        WHERE l.content_id = ANY(ARRAY(SELECT id FROM other_content))
    ),
    raw AS MATERIALIZED (
        SELECT id, raw_bytes FROM chunk WHERE id = ANY(ARRAY(SELECT DISTINCT chunk_id FROM both_have))
    ),
    share AS MATERIALIZED (
        SELECT b.content_id, sum(r.raw_bytes) AS bytes FROM both_have b JOIN raw r ON r.id = b.chunk_id
        GROUP BY b.content_id
        UNION ALL
        SELECT id, size_bytes FROM content WHERE id = ANY(ARRAY(SELECT id FROM first_content))
    )
    SELECT h.version_id, sum(s.bytes) FROM held h JOIN share s ON s.content_id = h.content_id GROUP BY h.version_id
"""


class ComparisonRows:
    """Implements the domain's ``ComparisonRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def files(self, versions: Sequence[Version], most: int) -> FilesBeside:
        """See the port."""
        ids = self._ids(versions)
        differing, total = self._differing(ids, most)
        return FilesBeside(differing, total, self._counts(ids), self._shared_bytes(ids))

    def _ids(self, versions: Sequence[Version]) -> list[int]:
        rows = self._database.rows(
            """
            SELECT v.id
            FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS w(model, number, place)
            JOIN model m ON m.name = w.model
            JOIN version v ON v.model_id = m.id AND v.number = w.number
            ORDER BY w.place
            """,
            ([version.model for version in versions], [version.version for version in versions]),
        )
        return [version_id for (version_id,) in rows]

    def _differing(self, ids: Sequence[int], most: int) -> tuple[list[FileDifference], int]:
        rows = self._database.rows(
            """
            WITH wanted AS MATERIALIZED (
                SELECT id, place FROM unnest(%s::bigint[]) WITH ORDINALITY AS w(id, place)
            ),
            differing AS (
                SELECT f.path FROM wanted w JOIN version_file f ON f.version_id = w.id
                GROUP BY f.path HAVING count(*) < %s OR min(f.content_id) <> max(f.content_id)
            ),
            listed AS MATERIALIZED (
                SELECT path, count(*) OVER () AS total FROM differing ORDER BY path LIMIT %s
            )
            SELECT l.total, l.path, w.place, c.size_bytes, c.root
            FROM listed l CROSS JOIN wanted w
            JOIN version_file f ON f.version_id = w.id AND f.path = l.path
            JOIN content c ON c.id = f.content_id
            ORDER BY l.path, w.place
            """,
            (list(ids), len(ids), most),
        )
        files = []
        for path, group in groupby(rows, key=lambda row: row[1]):
            held = {place: (size_bytes, bytes(root)) for _, _, place, size_bytes, root in group}
            beside = [held.get(place) for place in range(1, len(ids) + 1)]
            sizes = tuple(None if file is None else file[0] for file in beside)
            files.append(FileDifference(path, sizes, tuple(None if file is None else file[1] for file in beside)))
        return files, rows[0][0] if rows else 0

    def _counts(self, ids: Sequence[int]) -> list[FileCounts]:
        rows = self._database.rows(
            """
            WITH first_file AS MATERIALIZED (SELECT path, content_id FROM version_file WHERE version_id = %s)
            SELECT
                count(f.path) - count(o.path),
                (SELECT count(*) FROM first_file) - count(o.path),
                count(*) FILTER (WHERE o.content_id <> f.content_id)
            FROM unnest(%s::bigint[]) WITH ORDINALITY AS w(id, place)
            LEFT JOIN version_file f ON f.version_id = w.id
            LEFT JOIN first_file o ON o.path = f.path
            GROUP BY w.place ORDER BY w.place
            """,
            (ids[0], list(ids)),
        )
        return [FileCounts(*row) for row in rows]

    def _shared_bytes(self, ids: Sequence[int]) -> list[int]:
        # A content that the first version has is shared as a whole. The chunk list of any other is read once, however
        # many versions hold it, and those of the first version are read only if there is one.
        self._database.rows("SET LOCAL enable_nestloop = off")
        rows = self._database.rows(_SHARED, (ids[0], list(ids)))
        self._database.rows("SET LOCAL enable_nestloop = on")
        shared = {version_id: int(total) for version_id, total in rows}
        return [shared.get(version_id, 0) for version_id in ids]
