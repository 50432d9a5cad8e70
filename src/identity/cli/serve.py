"""`identity serve`: a service in the foreground, from its first word to its last."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import structlog
import uvloop
from rich.text import Text

from identity import __version__
from identity.cli.deviations import deviations
from identity.cli.output import err, fact, heading, out, settings_at_fault, without_secrets
from identity.cli.settings import unknown_variables
from identity.cli.stop import Stop
from identity.rpc import log
from identity.server import Service
from identity.settings import Settings


def run(settings: Settings, worker: int = 0) -> None:
    """Serve until a signal comes. A `worker` is one of several, from 1 on; it also ends when its parent is gone."""
    call_log = log.configure(level=settings.log_level)
    with settings_at_fault():
        service = Service(settings, log=call_log)
    uvloop.run(_serve(service, worker))


async def _serve(service: Service, worker: int) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask, number)
    if worker and (parent := multiprocessing.parent_process()):
        loop.add_reader(parent.sentinel, stop.leave, loop, parent.sentinel)
    try:
        await service.start()
        if worker > 1:
            fact(f"Worker {worker}", f"{_listens(service)}, process {os.getpid()}")
        else:
            _introduce(service, await asyncio.to_thread(lambda: service.open_setup_secret))
        await stop.asked.wait()
        err.print(
            f"Stopping: calls in progress may finish, for up to {service.settings.shutdown_seconds:g} s. "
            "Press Ctrl+C again to stop at once."
        )
    finally:
        await service.stop()
    out.print("Stopped. Nothing that was acknowledged is lost.")


def _introduce(service: Service, bootstrap_secret: str | None) -> None:
    """Say what was started, and what somebody who sees it for the first time can do with it."""
    settings = service.settings
    out.print()
    heading(f"Identity {__version__} is ready.")
    out.print()
    fact("gRPC", _listens(service))
    fact("HTTP", _listens_for_http(service))
    if service.metrics_address:
        fact("Metrics", f"http://{service.metrics_address}/metrics, in plaintext and for whoever asks")
    fact("Database", _database(settings))
    fact("Mail", _way_out(settings.mail_url, "IDENTITY_MAIL_URL"))
    fact("SMS", _way_out(settings.sms_url, "IDENTITY_SMS_URL"))
    departures = deviations(service.world.policy, settings)
    fact("Preset", settings.preset + "".join(f"\n{found.requirement}: {found.text}" for found in departures))
    for found in departures:
        structlog.get_logger("identity").warning("deviation", requirement=found.requirement, what=found.text)
    for name, meant in unknown_variables().items():
        fact("Ignored", f"{name} is no setting" + (f"; {meant} is" if meant else ""))
    if bootstrap_secret is not None:
        _explain_setup(service, bootstrap_secret)
    _suggest(service.address, settings)


def _explain_setup(service: Service, bootstrap_secret: str) -> None:
    out.print()
    heading("Nobody has set this place up yet.")
    if service.http_address:
        base = service.settings.public_url.rstrip("/") if service.settings.is_public else _http_url(service)
        out.print(f"  {base}/setup makes the first administrator, once for ever. So does AuthService.Setup.")
    else:
        out.print("  AuthService.Setup makes the first administrator, once for ever.")
    # A container in front may well be where others come from, though only this machine reaches the service itself.
    out.print("  On this machine it just works; from anywhere else, with this bootstrap secret:")
    out.print(Text(f"  {bootstrap_secret}", style="bold green"))


def _suggest(address: str, settings: Settings) -> None:
    out.print()
    heading("Try next, in another terminal:")
    out.print(f"  {_beside_us('identity')} demo")
    if settings.is_local and settings.reflection is not False and (buf := _beside_us("buf")):
        socket = f"--unix-socket {address.removeprefix('unix:')} " if address.startswith("unix:") else ""
        place = "localhost" if socket else address
        scheme = "https" if settings.tls_certificate else "http"
        out.print(
            f"  {buf} curl --protocol grpc {_trust(settings)} {socket}"
            f"{scheme}://{place}/identity.v1.AuthService/GetSetupStatus"
        )
    out.print("\nThe road from here is in README.md. Ctrl+C stops the service.\n")


def _trust(settings: Settings) -> str:
    """How `buf curl` is told to speak to a port of this kind."""
    if not settings.tls_certificate:
        return "--http2-prior-knowledge"
    return "--insecure --cert CLIENT.pem --key CLIENT-KEY.pem" if settings.tls_client_ca else "--insecure"


def _listens(service: Service) -> str:
    settings = service.settings
    reflects = settings.is_local if settings.reflection is None else settings.reflection
    return ", ".join(
        (
            service.address,
            "TLS" if settings.tls_certificate else "plaintext",
            *(["client certificates required"] if settings.tls_client_ca else []),
            "for this machine only" if settings.is_local else "for the network",
            f"reflection {'on' if reflects else 'off'}",
        )
    )


def _listens_for_http(service: Service) -> str:
    settings = service.settings
    if not service.http_address:
        return "off (IDENTITY_REST_ADDRESS=127.0.0.1:8080 turns it on)"
    return f"{_http_url(service)}, dialect {settings.mounted_dialect}"


def _http_url(service: Service) -> str:
    return f"{'https' if service.settings.rest_certificate else 'http'}://{service.http_address}"


def _database(settings: Settings) -> str:
    if settings.is_embedded:
        return f"SQLite, {settings.database.removeprefix('sqlite:///')}"
    return f"PostgreSQL, {without_secrets(settings.database)}"


def _way_out(url: str, variable: str) -> str:
    match url.partition(":")[0]:
        case "console":
            return f"printed in this terminal ({variable} sends it)"
        case "file":
            return f"written to {url.removeprefix('file://')}"
        case _:
            return without_secrets(url)


def _beside_us(command: str) -> str:
    """How to call a command of our environment from here; empty if there is none."""
    installed = Path(sys.executable).with_name(command)
    if installed.exists() and shutil.which(command) != str(installed):
        return str(installed.relative_to(Path.cwd()) if installed.is_relative_to(Path.cwd()) else installed)
    return command if shutil.which(command) else ""
