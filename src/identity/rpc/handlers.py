"""How servicers are added to the server: by their handlers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio


class HandlersOnly:
    """A server as generated code sees it, which takes handlers and registers no method by its name.

    For each registered method grpc.aio keeps a task that waits for its next call, and at every call of whichever
    method it waits anew for all of them. With the methods of this contract that cost more than the calls that people
    make all day; finding a handler by name costs one look into a dictionary.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Nothing: the handlers above are enough."""


def add(server: grpc.aio.Server, add_to_server: Callable[[Any, Any], None], servicer: object) -> None:
    """Add a servicer with the generated function of its service."""
    add_to_server(servicer, HandlersOnly(server))
