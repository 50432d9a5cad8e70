"""A server in a process of its own, driven over a pipe.

It tells its address, then answers whatever it is sent with its CPU time so far, and ends with the pipe.
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from multiprocessing.connection import Connection

import uvloop

from benchmarks import echo, people
from benchmarks.servers import Order
from identity.rest.listener import Listener
from identity.rpc.log import configure
from identity.server import Service
from identity.settings import load_rest_settings, load_settings
from identity.store import migrate


async def _serve_echo(pipe: Connection) -> None:
    server, address = await echo.start()
    await _answer(address, pipe)
    await server.stop(None)


async def _serve_identity(order: Order, pipe: Connection) -> None:
    settings = load_settings(
        data_dir=order.data_dir,
        database_url=order.database_url,
        grpc_address="127.0.0.1:0",
        secret="a master secret that only the benchmarks know",
        hashing_threads=1,
        mail_url=f"file://{order.data_dir}/mails",
        metrics_address="127.0.0.1:0",
    )
    await asyncio.to_thread(migrate.upgrade, settings.database)
    # As in production: a line per call, in JSON, to the standard error output, which the parent sends to a file.
    service = Service(settings, bcrypt_cost=order.bcrypt_cost, log=configure(json=True))
    await service.start()
    await asyncio.to_thread(people.seed, service.world, order.people)
    await _answer(service.address, pipe)
    await service.stop()


async def _serve_http(order: Order, pipe: Connection) -> None:
    configure(json=True)
    listener = Listener(load_rest_settings(rest_address="127.0.0.1:0", upstream=order.upstream))
    await listener.start()
    await _answer(listener.address, pipe)
    await listener.stop()


async def _answer(address: str, pipe: Connection) -> None:
    """Say where the server listens, then how much CPU it has used, as often as asked."""

    def talk() -> None:
        pipe.send(address)
        with suppress(EOFError):
            while pipe.recv():
                usage = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send((usage.ru_utime, usage.ru_stime))

    await asyncio.to_thread(talk)


def run(order: Order, pipe: Connection) -> None:
    """Be what was ordered until nobody is at the other end."""
    if order.upstream:
        uvloop.run(_serve_http(order, pipe))
    else:
        uvloop.run(_serve_identity(order, pipe) if order.database_url else _serve_echo(pipe))
