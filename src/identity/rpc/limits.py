"""What one connection may cost (TR-02): limits that gRPC itself enforces, before any of our code runs."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024


def server_options(*, reuse_port: bool = False) -> list[tuple[str, int]]:
    """Gives the channel arguments of every server.

    A peer that is slow or silent is met by three limits, since none covers the others: the handshake time, the
    idle time, and the age of a connection, which alone frees streams whose body never comes (M3, M4). gRPC
    spreads the age by a tenth. `reuse_port` is for several worker processes on one port; off, a second server
    on a port that is taken fails to start instead of stealing half of the calls.
    """
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        ("grpc.max_concurrent_streams", 100),
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.max_connection_idle_ms", 300_000),
        ("grpc.max_connection_age_ms", 600_000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 300_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.so_reuseport", int(reuse_port)),
    ]
