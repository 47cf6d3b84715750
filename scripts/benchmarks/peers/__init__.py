"""What a user would pick instead: one file each, behind ``peer.Peer``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.copy import Copy
from benchmarks.peers.dvc import Dvc
from benchmarks.peers.git_lfs import GitLfs
from benchmarks.peers.mlflow import Mlflow
from benchmarks.peers.oci import Oci
from benchmarks.peers.peer import Peer
from benchmarks.tools import Tools

__all__ = ["COPY", "PEERS", "MakePeer", "Peer"]

MakePeer = Callable[[Tools, Path], Peer]

COPY: MakePeer = Copy
"""Not a peer: it checks nothing and serves nobody. It is what the file system allows."""

PEERS: tuple[MakePeer, ...] = (Mlflow, Dvc, GitLfs, Oci)
