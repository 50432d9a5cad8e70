"""The container inside the process of the service (`IDENTITY_REST_ADDRESS` with `identity serve`)."""

from __future__ import annotations

import shutil
import tempfile

from identity.rest.listener import Listener
from identity.rest_settings import RestSettings


class Mount:
    """A listener that calls its own process, over a Unix socket in a directory that only this user can enter.

    `socket` is where the service has to serve it. The calls go the same way as those of a container elsewhere:
    there is one pipeline, and no way around it (TR-07).
    """

    def __init__(self, settings: RestSettings) -> None:
        self._directory = tempfile.mkdtemp(prefix="identity-")
        self.socket = f"unix:{self._directory}/grpc"
        self._listener = Listener(settings.model_copy(update={"upstream": self.socket, "upstream_ca": None}))

    @property
    def address(self) -> str:
        """Where HTTP is served."""
        return self._listener.address

    async def start(self) -> None:
        """Serve HTTP, now that the service serves the socket. Raises CannotListen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Let requests finish, and leave nothing behind."""
        await self._listener.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
