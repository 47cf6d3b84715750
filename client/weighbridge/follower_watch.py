"""A follower's watch, which begins again whatever ends it."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator

from weighbridge.core.watching import Change
from weighbridge.follower_news import News

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

_log = logging.getLogger(__name__)


def keep_watching(
    watch: Callable[[], Iterator[Change]],
    note: Callable[[Change], None],
    ends: Callable[[Exception, bool], bool],
    closed: threading.Event,
) -> None:
    """Notes each change; a watch that ends begins anew, with how the alias stands then, until ``closed`` is set.

    Args:
        watch: begins one.
        note: takes a change.
        ends: is given what ended a watch, and whether that is news, which is told once and not at each try; says
            whether it is final.
        closed: cuts pauses short too.
    """
    pause_s = FIRST_PAUSE_S
    news = News()
    while not closed.is_set():
        try:
            for change in watch():
                note(change)
                pause_s = FIRST_PAUSE_S
                news.forget()
        except Exception as fault:  # noqa: BLE001 - a thread that ended would end the following, in silence
            if closed.is_set() or ends(fault, news.is_new(fault)):
                return
            _log.info("the watch ended; it begins again within %g s: %s", pause_s, fault)
        # Partly random, so that a thousand nodes do not come back in the same moment.
        closed.wait(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
