"""A server in a process of its own, driven over its standard input: `python -m benchmarks.child '<json>'`.

It prints its address, then answers each line with its CPU time so far, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

import uvloop

from benchmarks import echo, people
from benchmarks.servers import Order
from identity.rest.listener import Listener
from identity.rpc.log import configure
from identity.server import Service
from identity.settings import load_rest_settings, load_settings
from identity.store import migrate


async def _serve_echo() -> None:
    server, address = await echo.start()
    await _answer(address)
    await server.stop(None)


async def _serve_identity(order: Order) -> None:
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
    await _answer(service.address)
    await service.stop()


async def _serve_http(order: Order) -> None:
    configure(json=True)
    listener = Listener(load_rest_settings(rest_address="127.0.0.1:0", upstream=order.upstream))
    await listener.start()
    await _answer(listener.address)
    await listener.stop()


async def _answer(address: str) -> None:
    """Say where the server listens, then how much CPU it has used, as often as asked."""

    def talk() -> None:
        print(address, flush=True)
        for _ in sys.stdin:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            print(json.dumps([usage.ru_utime, usage.ru_stime]), flush=True)

    await asyncio.to_thread(talk)


if __name__ == "__main__":
    given = Order(**json.loads(sys.argv[1]))
    if given.upstream:
        uvloop.run(_serve_http(given))
    else:
        uvloop.run(_serve_identity(given) if given.database_url else _serve_echo())
