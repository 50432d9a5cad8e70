"""`identity rest`: the HTTP container in the foreground."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from identity import __version__
from identity.cli.output import err, fact, heading, out
from identity.cli.settings import service_variables, unknown_variables
from identity.cli.stop import Stop
from identity.rest.listener import CannotListen, Listener
from identity.rest_settings import RestSettings
from identity.rpc import log
from identity.settings import SettingsInvalid


def run(settings: RestSettings) -> None:
    """Serve until a signal comes."""
    log.configure(level=settings.log_level)
    uvloop.run(_serve(Listener(settings), settings))


async def _serve(listener: Listener, settings: RestSettings) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask, number)
    try:
        await listener.start()
    except CannotListen as error:
        raise SettingsInvalid(str(error)) from None
    try:
        out.print()
        heading(f"Identity {__version__}: the HTTP container is ready.")
        out.print()
        fact("HTTP", f"{'https' if settings.rest_certificate else 'http'}://{listener.address}")
        fact("Service", f"{settings.upstream}, {'TLS' if settings.upstream_ca else 'plaintext'}")
        fact("Dialect", settings.dialect or "none")
        for name, meant in unknown_variables().items():
            fact("Ignored", f"{name} is no setting" + (f"; {meant} is" if meant else ""))
        if others := service_variables():
            fact("Not used", f"{', '.join(others)}: for identity serve")
        out.print()
        await stop.asked.wait()
        err.print(f"Stopping: requests in progress may finish, for up to {settings.shutdown_seconds:g} s.")
    finally:
        await listener.stop()
    out.print("Stopped.")
