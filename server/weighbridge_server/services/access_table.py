"""What each RPC needs of its caller. One that is not here is refused.

A row looks at a request and says which roles it takes, where; what can be no name is refused as that. A list over many
models takes a role somewhere, and its domain call narrows the list to what the caller reads (``Caller.readable``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from weighbridge.core.alias_check import STAGE_ALIASES
from weighbridge.core.refs import ALL_NAMES, check_prefix, parse_ref
from weighbridge.core.values import Role, Stage
from weighbridge.wire import convert
from weighbridge_server.domain.journal.changes import model_of
from weighbridge_server.services.transfer import opened_upload


@dataclass(frozen=True)
class Need:
    """A role on a model or prefix, or at least on one alias of it."""

    role: Role
    name: str
    alias: str = ""


@dataclass(frozen=True)
class OfUpload:
    """A role on the model of an upload."""

    role: Role
    upload_id: str


@dataclass(frozen=True)
class Concerned:
    """A role on something that a prefix governs, or on all of it: who reads ``fraud.x.y`` sees the schema of ``*``."""

    prefix: str


@dataclass(frozen=True)
class Somewhere:
    """Any role on anything."""


Needed: TypeAlias = Need | OfUpload | Concerned | Somewhere
Row: TypeAlias = Callable[[Any], Iterable[Needed]]


def _read(name: str) -> Need:
    return Need(Role.READER, check_prefix(name))


def _on(role: Role, field: str) -> Row:
    """On the model or prefix in this field."""
    return lambda request: [Need(role, check_prefix(getattr(request, field)))]


def _on_ref(role: Role, field: str = "ref") -> Row:
    """On the model of the reference in this field."""
    return lambda request: [Need(role, parse_ref(getattr(request, field)).model)]


def _on_alias(role: Role) -> Row:
    """On the alias in ``model`` and ``alias``."""
    return lambda request: [Need(role, check_prefix(request.model), request.alias)]


def _on_target(role: Role) -> Row:
    """On the stage or alias ``target`` of the model of ``ref``."""
    return lambda request: [Need(role, parse_ref(request.ref).model, request.target)]


def _on_upload(request: Any) -> Iterator[Needed]:
    yield OfUpload(Role.CONTRIBUTOR, request.upload_id)


def _on_opened_upload(request: Any) -> Iterator[Needed]:
    """By the first message of a stream."""
    yield OfUpload(Role.CONTRIBUTOR, opened_upload(request))


def _on_all(role: Role) -> Row:
    return lambda request: [Need(role, ALL_NAMES)]


def _on_versions(field: str) -> Row:
    """On the model of a reference, or on a model or prefix, in this field."""
    return lambda request: [_read(model_of(getattr(request, field)))]


def _concerned(field: str) -> Row:
    return lambda request: [Concerned(check_prefix(getattr(request, field)))]


def _narrowed(request: Any) -> Iterator[Needed]:
    yield Somewhere()


def _narrowed_but_for(*fields: str) -> Row:
    """Where one of these fields names a model, or a reference, on that; else the domain narrows."""

    def needed(request: Any) -> Iterator[Needed]:
        names = [getattr(request, field) for field in fields if getattr(request, field)]
        yield from (_read(model_of(name)) for name in names)
        if not names:
            yield Somewhere()

    return needed


def _any_token(request: Any) -> Iterable[Needed]:
    return ()


def _begin(request: Any) -> Iterator[Needed]:
    yield Need(Role.CONTRIBUTOR, check_prefix(request.model))
    yield from _parents(request)


def _commit(request: Any) -> Iterator[Needed]:
    yield OfUpload(Role.CONTRIBUTOR, request.upload_id)
    yield from _parents(request)


def _parents(request: Any) -> Iterator[Needed]:
    yield from map(_read, {parse_ref(parent.ref).model for parent in request.record.parents})


def _log_metrics(request: Any) -> Iterator[Needed]:
    if request.WhichOneof("target") == "upload_id":
        yield OfUpload(Role.CONTRIBUTOR, request.upload_id)
    else:
        yield Need(Role.CONTRIBUTOR, parse_ref(request.ref).model)


def _compare(request: Any) -> Iterator[Needed]:
    yield from (_read(parse_ref(ref).model) for ref in request.refs)


def _promote(request: Any) -> Iterator[Needed]:
    stage, model = convert.stage_value(request.stage), parse_ref(request.ref).model
    if request.dry_run:
        yield Need(Role.READER, model)
        return
    role = Role.CONTRIBUTOR if stage in (Stage.DEVELOPMENT, Stage.STAGING) else Role.MAINTAINER
    # Nothing points at a stage that many hold: what enters it leaves another, so a role on it alone moves nothing.
    yield Need(role, model, str(stage) if str(stage) in STAGE_ALIASES else "")


def _events(request: Any) -> Iterator[Needed]:
    """Of a model, or of something under it. Others, and those over everything, are of people and grants, too."""
    names = [model_of(name) for name in (request.model, request.resource) if name]
    yield from (_read(name if "/" not in name else ALL_NAMES) for name in names or [ALL_NAMES])


_V1 = "/weighbridge.v1."
ACCESS: Mapping[str, Row] = {
    f"{_V1}ModelService/CreateModel": _on(Role.CONTRIBUTOR, "name"),
    f"{_V1}ModelService/GetModel": _on(Role.READER, "name"),
    f"{_V1}ModelService/ListModels": _narrowed,
    f"{_V1}ModelService/UpdateModel": _on(Role.MAINTAINER, "name"),
    f"{_V1}ModelService/DeleteModel": _on(Role.MAINTAINER, "name"),
    f"{_V1}ModelService/RestoreModel": _on(Role.MAINTAINER, "name"),
    f"{_V1}VersionService/BeginVersion": _begin,
    f"{_V1}VersionService/CommitVersion": _commit,
    f"{_V1}VersionService/AbortVersion": _on_upload,
    f"{_V1}VersionService/RenewUpload": _on_upload,
    f"{_V1}VersionService/GetVersion": _on_ref(Role.READER),
    f"{_V1}VersionService/ResolveVersion": _on_ref(Role.READER),
    f"{_V1}VersionService/ListVersions": _narrowed_but_for("model"),
    f"{_V1}VersionService/UpdateVersion": _on_ref(Role.CONTRIBUTOR),
    f"{_V1}VersionService/LogMetrics": _log_metrics,
    f"{_V1}VersionService/GetMetrics": _on_ref(Role.READER),
    f"{_V1}VersionService/CompareVersions": _compare,
    f"{_V1}VersionService/GetLineage": _narrowed_but_for("ref"),
    f"{_V1}VersionService/DeleteVersion": _on_ref(Role.MAINTAINER),
    f"{_V1}VersionService/RestoreVersion": _on_ref(Role.MAINTAINER),
    f"{_V1}TransferService/FindMissingChunks": _on_upload,
    f"{_V1}TransferService/UploadChunks": _on_opened_upload,
    f"{_V1}TransferService/PutManifest": _on_opened_upload,
    f"{_V1}TransferService/GetManifest": _on_ref(Role.READER),
    f"{_V1}TransferService/DownloadChunks": _on_ref(Role.READER),
    f"{_V1}TransferService/ReadFile": _on_ref(Role.READER),
    f"{_V1}LifecycleService/SetSchema": _on(Role.MAINTAINER, "prefix"),
    f"{_V1}LifecycleService/GetSchema": _concerned("name"),
    f"{_V1}LifecycleService/ListSchemas": _narrowed,
    f"{_V1}LifecycleService/CheckSchema": _on_versions("target"),
    f"{_V1}LifecycleService/SetPolicy": _on(Role.MAINTAINER, "prefix"),
    f"{_V1}LifecycleService/GetPolicy": _concerned("name"),
    f"{_V1}LifecycleService/ListPolicies": lambda request: (
        [Concerned(check_prefix(request.name)) if request.name else Somewhere()]
    ),
    f"{_V1}LifecycleService/CheckPolicy": _on_versions("versions"),
    f"{_V1}LifecycleService/RequestApproval": _on_target(Role.CONTRIBUTOR),
    f"{_V1}LifecycleService/Approve": _on_target(Role.APPROVER),
    f"{_V1}LifecycleService/Reject": _on_target(Role.APPROVER),
    f"{_V1}LifecycleService/ListApprovalRequests": _narrowed_but_for("model"),
    f"{_V1}LifecycleService/SetAlias": _on_alias(Role.CONTRIBUTOR),
    f"{_V1}LifecycleService/DeleteAlias": _on_alias(Role.MAINTAINER),
    f"{_V1}LifecycleService/ListAliases": _on(Role.READER, "model"),
    f"{_V1}LifecycleService/GetAliasHistory": _on(Role.READER, "model"),
    f"{_V1}LifecycleService/Promote": _promote,
    f"{_V1}LifecycleService/Rollback": _on_alias(Role.MAINTAINER),
    f"{_V1}JournalService/ListEvents": _events,
    f"{_V1}JournalService/VerifyJournal": _on_all(Role.READER),
    f"{_V1}JournalService/Watch": _on(Role.READER, "model"),
    # By its node's name alone, and by what a node says that it runs: the domain looks only at what the caller reads.
    f"{_V1}DeploymentService/ReportDeployment": _narrowed_but_for("ref"),
    f"{_V1}DeploymentService/RetireDeployment": _narrowed_but_for("model"),
    f"{_V1}DeploymentService/ListDeployments": _narrowed_but_for("model", "ref"),
    f"{_V1}DeploymentService/FindZombies": _narrowed_but_for("model"),
    # A webhook has the server send what happens to an address of somebody's choice.
    f"{_V1}WebhookService/CreateWebhook": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/ListWebhooks": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/UpdateWebhook": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/DeleteWebhook": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/ReplayWebhook": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/TestWebhook": _on_all(Role.ADMIN),
    f"{_V1}WebhookService/ListWebhookDeliveries": _on_all(Role.ADMIN),
    f"{_V1}AdminService/CreatePrincipal": _on_all(Role.ADMIN),
    f"{_V1}AdminService/ListPrincipals": _on_all(Role.ADMIN),
    f"{_V1}AdminService/DisablePrincipal": _on_all(Role.ADMIN),
    f"{_V1}AdminService/EnablePrincipal": _on_all(Role.ADMIN),
    f"{_V1}AdminService/CreateToken": _on_all(Role.ADMIN),
    f"{_V1}AdminService/ListTokens": _on_all(Role.ADMIN),
    f"{_V1}AdminService/RevokeToken": _on_all(Role.ADMIN),
    f"{_V1}AdminService/SetGrant": _on(Role.ADMIN, "prefix"),
    f"{_V1}AdminService/RevokeGrant": _on(Role.ADMIN, "prefix"),
    f"{_V1}AdminService/ListGrants": _on_all(Role.ADMIN),
    f"{_V1}AdminService/WhoAmI": _any_token,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _any_token,
}
