"""A bounded share of what ``scripts/crash`` runs a hundred rounds of."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash_rounds import CrashRounds


@pytest.mark.long
@pytest.mark.timeout(300)
def test_ten_rounds_of_kill_9_lose_nothing(session_dir: Path) -> None:
    folder = session_dir / "crash"
    folder.mkdir(mode=0o711)
    rounds = CrashRounds(folder, seed=20261123)
    for _ in range(10):
        rounds.round()
    tally = rounds.judge()
    assert tally.rounds == 10
    assert tally.clients_killed + tally.servers_killed > 0
    assert tally.versions >= tally.pushes_done > 0
    assert tally.chunks_checked > 0
