"""The catalogue's tables, as peewee models. ``migrations/`` makes them; a test holds the two together."""

from __future__ import annotations

import peewee
from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    DatabaseProxy,
    DateTimeField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    SmallIntegerField,
    TextField,
    UUIDField,
)

database: DatabaseProxy = DatabaseProxy()
"""Set once by ``Catalog``: a process has one catalogue."""


class _Table(peewee.Model):
    class Meta:
        database = database
        legacy_table_names = False


class TimestampField(DateTimeField):
    """``timestamptz``: always read back as an aware datetime in UTC."""

    field_type = "TIMESTAMPTZ"


class IdentityField(peewee.BigAutoField):
    """``bigint GENERATED ALWAYS AS IDENTITY``."""


class Model(_Table):
    """A registered model."""

    id = IdentityField()
    name = TextField(unique=True)
    creator = TextField()
    owner = TextField()
    description = TextField()
    created_time = TimestampField()
    latest_version = BigIntegerField()
    team = TextField()
    contact = TextField()
    card = TextField()
    deleted_time = TimestampField(null=True)
    deleted_by = TextField(null=True)
    deletion_reason = TextField(null=True)


class Pack(_Table):
    """A sealed pack."""

    id = UUIDField(primary_key=True)
    size_bytes = BigIntegerField()
    sealed_time = TimestampField()


class Chunk(_Table):
    """A chunk and its place."""

    id = IdentityField()
    digest = BlobField(unique=True)
    raw_bytes = IntegerField()
    encoded_bytes = IntegerField()
    codec = SmallIntegerField()
    pack = ForeignKeyField(Pack)
    pack_offset = BigIntegerField()
    damaged = BooleanField()


class Content(_Table):
    """A file's content: a chunk list, stored once under its root, whatever versions hold it."""

    id = IdentityField()
    root = BlobField(unique=True)
    size_bytes = BigIntegerField()
    chunks_total = BigIntegerField()


class ContentChunk(_Table):
    """One entry of a chunk list."""

    content = ForeignKeyField(Content, on_delete="CASCADE", index=False)
    ordinal = IntegerField()
    chunk = ForeignKeyField(Chunk)

    class Meta:
        primary_key = peewee.CompositeKey("content", "ordinal")


class Version(_Table):
    """A committed version."""

    id = IdentityField()
    model = ForeignKeyField(Model, index=False)
    number = BigIntegerField()
    manifest = BlobField(index=True)
    stage = TextField()
    creator = TextField()
    created_time = TimestampField()
    files_total = BigIntegerField()
    bytes_total = BigIntegerField()
    chunks_total = BigIntegerField()
    record = TextField()
    schema_prefix = TextField(null=True)
    schema_revision = BigIntegerField(null=True)
    deleted_time = TimestampField(null=True)
    deleted_by = TextField(null=True)
    deletion_reason = TextField(null=True)
    purged_time = TimestampField(null=True)

    class Meta:
        indexes = ((("model", "number"), True),)


class VersionFile(_Table):
    """A file of a version."""

    version = ForeignKeyField(Version, on_delete="CASCADE", index=False)
    path = TextField()
    content = ForeignKeyField(Content)

    class Meta:
        primary_key = peewee.CompositeKey("version", "path")


class MetricPoint(_Table):
    """One point of a version's metric curves, in the order they came."""

    version = ForeignKeyField(Version, on_delete="CASCADE", index=False)
    sequence = BigIntegerField()
    name = TextField()
    step = BigIntegerField()
    time = TimestampField()
    value = DoubleField()

    class Meta:
        primary_key = peewee.CompositeKey("version", "sequence")
        indexes = ((("version", "name", "step", "time"), False),)


class Upload(_Table):
    """A version on its way in, and afterwards how it ended."""

    id = UUIDField(primary_key=True)
    model = ForeignKeyField(Model, index=False)
    actor = TextField(index=True)
    state = TextField()
    record = TextField()
    begun_time = TimestampField()
    lease_expires_time = TimestampField()
    hard_expires_time = TimestampField()
    ended_time = TimestampField(null=True)
    version = ForeignKeyField(Version, null=True, index=False)
    commit_digest = BlobField(null=True)


class UploadChunk(_Table):
    """A chunk that an upload may use: it sent it, or was told that it is present."""

    upload = ForeignKeyField(Upload, on_delete="CASCADE", index=False)
    chunk = ForeignKeyField(Chunk)

    class Meta:
        primary_key = peewee.CompositeKey("upload", "chunk")


class UploadFile(_Table):
    """A file of an upload."""

    upload = ForeignKeyField(Upload, on_delete="CASCADE", index=False)
    path = TextField()
    content = ForeignKeyField(Content)

    class Meta:
        primary_key = peewee.CompositeKey("upload", "path")


class Request(_Table):
    """What a call with a request id left."""

    actor = TextField()
    request_id = TextField()
    payload = BlobField()
    result = TextField()
    made_time = TimestampField()

    class Meta:
        primary_key = peewee.CompositeKey("actor", "request_id")


class JournalHead(_Table):
    """The newest revision and its hash: one row, whose lock orders the commits."""

    id = SmallIntegerField(primary_key=True)
    revision = BigIntegerField()
    hash = BlobField()


class Event(_Table):
    """One change. Never updated, never deleted."""

    revision = BigIntegerField(primary_key=True)
    time = TimestampField()
    actor = TextField()
    action = TextField()
    resource = TextField()
    before = TextField()
    after = TextField()
    previous_hash = BlobField()
    hash = BlobField()

    class Meta:
        indexes = (
            (("resource", "revision"), False),
            (("actor", "revision"), False),
            (("action", "revision"), False),
            (("time",), False),
        )


ALL: tuple[type[peewee.Model], ...] = (
    Model,
    Pack,
    Chunk,
    Content,
    ContentChunk,
    Version,
    VersionFile,
    MetricPoint,
    Upload,
    UploadChunk,
    UploadFile,
    Request,
    JournalHead,
    Event,
)
