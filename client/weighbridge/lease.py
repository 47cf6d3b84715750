"""Keeping an upload open while nothing is sent: training takes days, and a lease an hour."""

from __future__ import annotations

import threading

from weighbridge.core.errors import WeighbridgeError
from weighbridge.v1 import versions_pb2
from weighbridge.wire.connection import Connection

_RENEW_INTERVAL_S = 600.0


class Lease:
    """An upload's lease, renewed in the background until it is let go of."""

    def __init__(self, connection: Connection, upload_id: str) -> None:
        self._connection = connection
        self._request = versions_pb2.RenewUploadRequest(upload_id=upload_id)
        self._let_go = threading.Event()
        threading.Thread(target=self._renew, name="weighbridge-lease", daemon=True).start()

    def let_go(self) -> None:
        """Leaves it to run out. For a day, the next call for the upload opens it again all the same."""
        self._let_go.set()

    def _renew(self) -> None:
        while not self._let_go.wait(_RENEW_INTERVAL_S):
            try:
                self._connection.call(self._connection.versions.RenewUpload, self._request)
            except WeighbridgeError:
                continue  # the next call that matters says what is wrong
