"""Searching: versions by what they record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.errors import UsageError
from weighbridge.core.refs import check_model_name
from weighbridge.core.unicode_check import check_unicode
from weighbridge.core.values import Version
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert


class SearchCalls(Connected):
    """See ``Client``."""

    def search(
        self,
        filter: str = "",  # noqa: A002 - the name that it has in the API
        *,
        order_by: str = "",
        model: str = "",
        deleted: bool = False,
        show_metrics: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[Version]:
        """The versions that a filter takes, over all models, without their records.

        What is committed while they are listed is not among them, and moves none of them.

        Args:
            filter: a condition in CEL, such as ``metrics.accuracy > 0.9 && tags.hardware_target == "gpu"``; empty: all.
                It can name ``model``, ``version``, ``ref``, ``stage``, ``aliases``, ``creator``, ``created_time``,
                ``description``, ``manifest_digest``, ``files_total``, ``bytes_total``, ``chunks_total``, ``tags``,
                ``params``, ``metrics`` (each with ``latest``, which is meant where nothing is said, ``min``, ``max``,
                ``step`` and ``points``), ``energy``, ``datasets``, ``parents``, ``source`` and ``environment`` with
                its ``packages``. What a version lacks is neither equal nor unequal to anything: ask ``has(tags.x)``.
            order_by: what to sort by, such as ``metrics.accuracy / energy.gco2e desc, created_time``; at most four
                keys. What lacks a value comes last, and the newest first where all is equal; that is the order too
                where nothing is given.
            model: only versions of this model.
            deleted: those that are deleted instead.
            show_metrics: the metrics that ``Version.metrics`` has, beside those that ``order_by`` names; at most 16.
            limit: at most so many.

        Raises:
            InvalidExpression: ``filter`` or ``order_by``; the paths of the violations are ``line:column``.
            LimitExceeded: the server does not find them within 10 s.
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, UsageError.
        """
        if model:
            check_model_name(model)
        if isinstance(show_metrics, str):
            raise UsageError(f"show_metrics is a list of names, such as [{show_metrics!r}]")
        if limit is not None and limit < 0:
            raise UsageError(f"a limit of {limit} is none; it is 0 or more")
        shown = {f"show_metrics[{place}]": name for place, name in enumerate(show_metrics)}
        check_unicode("versions", {"filter": filter, "order_by": order_by, **shown})
        # Of those that are deleted too, how many are not is not known before.
        size = PAGE_SIZE if deleted or limit is None else min(PAGE_SIZE, max(1, limit))

        def page(token: str) -> tuple[Sequence[versions_pb2.Version], str]:
            request = versions_pb2.ListVersionsRequest(
                model=model,
                filter=filter,
                order_by=order_by,
                show_deleted=deleted,
                show_metrics=show_metrics,
                page_size=size,
                page_token=token,
            )
            answer = self._connection.call(self._connection.versions.ListVersions, request)
            return answer.versions, answer.next_page_token

        versions = map(convert.version_value, self._pages("versions", page))
        return islice((version for version in versions if (version.deletion is not None) is deleted), limit)
