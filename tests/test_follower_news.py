"""What keeps failing is told once."""

from __future__ import annotations

from weighbridge.core.errors import ModelDeleted, PermissionDenied, StorageFailed, Unavailable
from weighbridge.follower_news import News


def test_each_cause_is_news_once_until_it_goes_well() -> None:
    news = News()
    faults = [PermissionDenied("no"), PermissionDenied("no, again"), ModelDeleted("gone"), ValueError("a bug")]
    assert [news.is_new(fault) for fault in faults] == [True, False, True, True]
    news.forget()
    assert news.is_new(PermissionDenied("no"))


def test_a_server_that_is_away_is_no_news() -> None:
    assert not News().is_new(Unavailable("restarting"))
    assert not News().is_new(StorageFailed("its database is"))
