"""The gRPC service behind the container: one channel, the stubs, and what a call costs at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from identity.rest.refusals import of_rpc, unavailable
from identity.rest_settings import RestSettings
from identity_pb.v1.account_service_pb2_grpc import AccountServiceStub
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.factor_service_pb2_grpc import FactorServiceStub
from identity_pb.v1.invite_service_pb2_grpc import InviteServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub
from identity_pb.v1.tenant_service_pb2_grpc import TenantServiceStub

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Metadata = tuple[tuple[str, str], ...]

LONGEST_CALL = 12.0
"""Seconds. The service ends every call within 10 by itself (TR-03); more means that it is away."""

_OPTIONS = [
    # A service that restarts is found again at once, and not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A name that stands for several replicas is used for all of them.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 4 * 2**20),
    ("grpc.max_metadata_size", 16 * 1024),
]


class Upstream:
    """The stubs of every service of the contract. Opened inside the event loop that will use it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._streams: set[grpc.aio.UnaryStreamCall[Any, Any]] = set()
        self.auth = AuthServiceStub(channel)
        self.sessions = SessionServiceStub(channel)
        self.invites = InviteServiceStub(channel)
        self.factors = FactorServiceStub(channel)
        self.accounts = AccountServiceStub(channel)
        self.tenants = TenantServiceStub(channel)

    async def call(
        self, rpc: grpc.aio.UnaryUnaryMultiCallable[Request, Reply], request: Request, metadata: Metadata
    ) -> Reply:
        """Make one RPC. Raises a Refusal for everything but an answer."""
        try:
            return await rpc(request, metadata=metadata, timeout=LONGEST_CALL)
        except grpc.aio.AioRpcError as error:
            raise of_rpc(error) from None
        except grpc.aio.UsageError:  # the channel closes
            raise unavailable() from None

    async def watch(
        self, rpc: grpc.aio.UnaryStreamMultiCallable[Request, Reply], request: Request, metadata: Metadata
    ) -> AsyncIterator[Reply]:
        """Follow one stream to its end, or until the container stops. Raises a Refusal, at any answer."""
        stream = rpc(request, metadata=metadata)
        self._streams.add(stream)
        try:
            async for reply in stream:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise of_rpc(error) from None
        except asyncio.CancelledError:
            if stream not in self._streams:
                return
            raise
        finally:
            self._streams.discard(stream)
            stream.cancel()

    def end_streams(self) -> None:
        """End the streams, whose clients go on elsewhere: they would never end by themselves."""
        while self._streams:
            self._streams.pop().cancel()

    async def close(self) -> None:
        """Let go of the channel; calls under way end."""
        await self.channel.close()


def open_upstream(settings: RestSettings) -> Upstream:
    """Connect to the service of the settings; it need not be up yet. Raises OSError for certificates out of reach."""
    if settings.upstream_ca is None:
        return Upstream(grpc.aio.insecure_channel(settings.upstream, _OPTIONS))
    credentials = grpc.ssl_channel_credentials(
        settings.upstream_ca.read_bytes(), _read(settings.upstream_key), _read(settings.upstream_certificate)
    )
    return Upstream(grpc.aio.secure_channel(settings.upstream, credentials, _OPTIONS))


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
