"""The catalogue's tables, as peewee models. ``migrations/`` makes them; a test holds the two together."""

from __future__ import annotations

import peewee
from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    DatabaseProxy,
    DateTimeField,
    DeferredForeignKey,
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


class MetricLog(_Table):
    """The owner of curves: an upload's, and from its commit on the version's."""

    id = IdentityField()
    names = BigIntegerField()
    points = BigIntegerField()


class MetricWriter(_Table):
    """How far a writer of a log has come."""

    log = ForeignKeyField(MetricLog, on_delete="CASCADE", index=False)
    writer = TextField()
    last_sequence = BigIntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("log", "writer")


class MetricBlock(_Table):
    """Points of a curve that follow each other, from its ``first_point``-th on; arrays of 64-bit numbers."""

    log = ForeignKeyField(MetricLog, on_delete="CASCADE", index=False)
    name = TextField()
    first_point = BigIntegerField()
    points = BigIntegerField()
    steps = BlobField()
    times = BlobField()
    values = BlobField()

    class Meta:
        primary_key = peewee.CompositeKey("log", "name", "first_point")


class MetricSummary(_Table):
    """A curve in short; kept with every change of it."""

    log = ForeignKeyField(MetricLog, on_delete="CASCADE", index=False)
    name = TextField()
    latest = DoubleField()
    latest_step = BigIntegerField()
    latest_time = TimestampField()
    min = DoubleField()
    max = DoubleField()
    points = BigIntegerField()
    version = DeferredForeignKey("Version", null=True, on_delete="CASCADE", index=False)

    class Meta:
        primary_key = peewee.CompositeKey("log", "name")


class PackageList(_Table):
    """The packages of an environment, stored once under their digest, whatever versions were made in it."""

    id = IdentityField()
    digest = BlobField(unique=True)


class PackageListEntry(_Table):
    """One installed package."""

    list = ForeignKeyField(PackageList, on_delete="CASCADE", index=False)
    name = TextField()
    version = TextField()

    class Meta:
        primary_key = peewee.CompositeKey("list", "name")
        indexes = ((("name", "version", "list"), False),)


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
    metric_log = ForeignKeyField(MetricLog, unique=True)
    energy_kwh = DoubleField(null=True)
    energy_gco2e = DoubleField(null=True)
    package_list = ForeignKeyField(PackageList, null=True)

    class Meta:
        indexes = (
            (("model", "number"), True),
            (("stage", "id"), False),
            (("creator", "id"), False),
            (("created_time", "id"), False),
        )


for _figure in (Version.energy_kwh, Version.energy_gco2e):
    Version.add_index(
        Version.index(_figure, Version.id, where=_figure.is_null(False), name=f"version_{_figure.column_name}")
    )


for _listed in ("energy", "figures"):
    Version.add_index(Version.index(Version.id, where=Version.deleted_time.is_null(), name=f"version_listed_{_listed}"))

Version.add_index(
    Version.index(
        Version.deleted_time,
        where=Version.deleted_time.is_null(False) & Version.purged_time.is_null(),
        name="version_deleted_time",
    )
)


_OF_VERSIONS = MetricSummary.version.is_null(False)
for _name, _columns in (
    ("version_id", (MetricSummary.version,)),
    ("latest", (MetricSummary.name, MetricSummary.latest, MetricSummary.version)),
    ("min", (MetricSummary.name, MetricSummary.min, MetricSummary.version)),
    ("max", (MetricSummary.name, MetricSummary.max, MetricSummary.version)),
    ("listed", (MetricSummary.name, MetricSummary.version)),
):
    MetricSummary.add_index(MetricSummary.index(*_columns, where=_OF_VERSIONS, name=f"metric_summary_{_name}"))


class VersionFact(_Table):
    """One named value that a version records: a number, a text or a truth value."""

    version = ForeignKeyField(Version, on_delete="CASCADE")
    section = TextField()
    name = TextField()
    number = DoubleField(null=True)
    text = TextField(null=True)
    truth = BooleanField(null=True)
    whole = TextField(null=True)

    class Meta:
        primary_key = peewee.CompositeKey("section", "name", "version")


for _kind in (VersionFact.number, VersionFact.text):
    VersionFact.add_index(
        VersionFact.index(
            VersionFact.section,
            VersionFact.name,
            _kind,
            VersionFact.version,
            where=_kind.is_null(False),
            name=f"version_fact_{_kind.column_name}",
        )
    )


class VersionDataset(_Table):
    """Data that a version was made from."""

    of_version = ForeignKeyField(Version, column_name="version_id", on_delete="CASCADE", index=False)
    ordinal = IntegerField()
    name = TextField()
    version = TextField()
    digest = TextField()
    uri = TextField()
    role = TextField()

    class Meta:
        primary_key = peewee.CompositeKey("of_version", "ordinal")
        indexes = (
            (("name", "version", "of_version"), False),
            (("digest", "of_version"), False),
        )


Version.add_index(
    Version.index(
        Version.model,
        Version.stage,
        unique=True,
        where=Version.stage.in_(("staging", "production")),
        name="version_stage_holder",
    )
)


class Alias(_Table):
    """Where an alias, or the pointer of a stage, points. Where it pointed before is in the journal."""

    model = ForeignKeyField(Model, index=False)
    name = TextField()
    version = ForeignKeyField(Version)

    class Meta:
        primary_key = peewee.CompositeKey("model", "name")


class VersionParent(_Table):
    """A version that another was made from. A parent is older: so says a check, and descent has no circles."""

    version = ForeignKeyField(Version, on_delete="CASCADE", index=False, backref="+")
    parent = ForeignKeyField(Version, backref="+")
    relation = TextField()

    class Meta:
        primary_key = peewee.CompositeKey("version", "parent", "relation")


class VersionFile(_Table):
    """A file of a version."""

    version = ForeignKeyField(Version, on_delete="CASCADE", index=False)
    path = TextField()
    content = ForeignKeyField(Content)

    class Meta:
        primary_key = peewee.CompositeKey("version", "path")


class Deployment(_Table):
    """A node that runs a version, or something that is not registered: then the model is empty."""

    model = TextField()
    node = TextField(index=True)
    version = ForeignKeyField(Version, null=True, backref="+")
    manifest = BlobField()
    follows = TextField(column_name="alias")  # peewee's models have an `alias` of their own
    actor = TextField()
    since_time = TimestampField()
    reported_time = TimestampField()
    ttl_s = IntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("model", "node")


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
    metric_log = ForeignKeyField(MetricLog, null=True, unique=True)


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
    made_time = TimestampField(index=True)

    class Meta:
        primary_key = peewee.CompositeKey("actor", "request_id")


class SchemaRevision(_Table):
    """A schema as it was set. Never updated, never deleted."""

    prefix = TextField()
    revision = BigIntegerField()
    json_schema = TextField()
    actor = TextField()
    set_time = TimestampField()

    class Meta:
        primary_key = peewee.CompositeKey("prefix", "revision")


class Principal(_Table):
    """Who may call. Never deleted: the journal has its name."""

    id = IdentityField()
    name = TextField(unique=True)
    kind = TextField()
    description = TextField()
    created_time = TimestampField()
    creator = TextField()
    disabled_time = TimestampField(null=True)
    disabled_by = TextField(null=True)


class Token(_Table):
    """What proves a principal, by the hash of its secret."""

    id = IdentityField()
    token_id = TextField(unique=True)
    principal = ForeignKeyField(Principal)
    description = TextField()
    secret_hash = BlobField()
    created_time = TimestampField()
    creator = TextField()
    expires_time = TimestampField(null=True)
    revoked_time = TimestampField(null=True)
    revoked_by = TextField(null=True)
    last_used_time = TimestampField(null=True)


class RoleGrant(_Table):
    """A role that a principal has: below a prefix of names, or for an alias of them."""

    principal = ForeignKeyField(Principal, index=False)
    prefix = TextField()
    only_alias = TextField(column_name="alias")
    role = TextField()
    granted_time = TimestampField()
    granted_by = TextField()

    class Meta:
        primary_key = peewee.CompositeKey("principal", "prefix", "only_alias", "role")


class PolicyRevision(_Table):
    """A policy as it was set. Never updated, never deleted."""

    prefix = TextField()
    target = TextField()
    revision = BigIntegerField()
    terms = TextField()
    actor = TextField()
    set_time = TimestampField()

    class Meta:
        primary_key = peewee.CompositeKey("prefix", "target", "revision")


class ApprovalRequest(_Table):
    """A version that somebody asks approval for; at most one open for each version and target."""

    id = IdentityField()
    version = ForeignKeyField(Version, index=False)
    target = TextField()
    requester = TextField()
    requested_time = TimestampField()
    comment = TextField()
    closed_time = TimestampField(null=True)
    done = BooleanField()

    class Meta:
        indexes = ((("version", "target", "id"), False),)


ApprovalRequest.add_index(
    ApprovalRequest.index(
        ApprovalRequest.version,
        ApprovalRequest.target,
        unique=True,
        where=ApprovalRequest.closed_time.is_null(),
        name="approval_request_open",
    )
)


class ApprovalAnswer(_Table):
    """An approval or a rejection, and what it was given for."""

    id = IdentityField()
    request = ForeignKeyField(ApprovalRequest, index=False)
    actor = TextField()
    answered_time = TimestampField()
    comment = TextField()
    approved = BooleanField()
    policy_prefix = TextField()
    policy_revision = BigIntegerField()
    pointer_revision = BigIntegerField()
    record_digest = BlobField()

    class Meta:
        indexes = ((("request", "id"), False),)


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


class Webhook(_Table):
    """Where events are sent to: a cursor in the journal, and how the next try stands."""

    id = IdentityField()
    url = TextField()
    secret = TextField()
    target = TextField()
    only_alias = TextField(column_name="alias")
    actions = TextField()
    description = TextField()
    actor = TextField()
    created_time = TimestampField()
    position = BigIntegerField()
    paused_reason = TextField()
    failures = IntegerField()
    failing_since_time = TimestampField(null=True)
    next_try_time = TimestampField(null=True)
    claim = UUIDField(null=True)
    claimed_until_time = TimestampField(null=True)


class WebhookDelivery(_Table):
    """A try to send an event."""

    id = IdentityField()
    webhook = ForeignKeyField(Webhook, on_delete="CASCADE", index=False)
    delivery_id = UUIDField()
    revision = BigIntegerField()
    attempt = IntegerField()
    time = TimestampField()
    http_status = IntegerField(null=True)
    error = TextField()
    duration_ms = IntegerField()

    class Meta:
        indexes = ((("webhook", "id"), False),)


ALL: tuple[type[peewee.Model], ...] = (
    Model,
    Pack,
    Chunk,
    Content,
    ContentChunk,
    MetricLog,
    MetricWriter,
    MetricBlock,
    MetricSummary,
    PackageList,
    PackageListEntry,
    Version,
    VersionFact,
    VersionDataset,
    Alias,
    VersionParent,
    VersionFile,
    Deployment,
    Upload,
    UploadChunk,
    UploadFile,
    Request,
    SchemaRevision,
    PolicyRevision,
    ApprovalRequest,
    ApprovalAnswer,
    Principal,
    Token,
    RoleGrant,
    JournalHead,
    Event,
    Webhook,
    WebhookDelivery,
)
