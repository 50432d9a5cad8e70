"""The stage: a real service on a free port, whose database and mails go when it goes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from identity.server import Clock, Service, utc_now
from identity.settings import Settings

_PATIENCE = 15.0
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class StageSettings(Settings):
    """Settings that read neither the environment nor a file: a demo is the same for everybody."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class Hands:
    """The hands of a clock, which the demo can turn on when it does not want to wait."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def turn(self, by: timedelta) -> None:
        self._ahead += by


class Stage:
    """What a client can see: an address, mails in a directory, and a clock on the wall."""

    def __init__(self, address: str, mails: Path, clock: Hands) -> None:
        self.address = address
        self.clock = clock
        self._mails = mails

    async def mail(self, recipient: str, words: str) -> EmailMessage:
        """The mail to somebody that holds these words. Raises TimeoutError if it never comes."""
        give_up = time.monotonic() + _PATIENCE
        while time.monotonic() < give_up:
            for mail in await asyncio.to_thread(self._received, recipient):
                if words in text_of(mail):
                    return mail
            await asyncio.sleep(0.02)
        raise TimeoutError(f"no mail to {recipient} with the words {words!r} within {_PATIENCE:g} s")

    def _received(self, recipient: str) -> list[EmailMessage]:
        mails = [
            message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=policy.default)
            for file in self._mails.glob("*.eml")
        ]
        return [mail for mail in mails if recipient in str(mail["To"])]


def text_of(mail: EmailMessage) -> str:
    """The text of a mail."""
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body else ""


def secret_in(mail: EmailMessage) -> str:
    """The code that stands alone on a line of a mail's text; empty if there is none."""
    lines = text_of(mail).splitlines()
    return next((line.strip() for line in lines if _SECRET.fullmatch(line.strip())), "")


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Bring the service up, and take everything down again."""
    with TemporaryDirectory(prefix="identity-demo-") as place:
        mails = Path(place) / "mails"
        clock = Hands()
        given: dict[str, Any] = {
            "data_dir": Path(place) / "data",
            "grpc_address": "127.0.0.1:0",
            "mail_url": mails.as_uri(),
            "bcrypt_cost": 10,
            "shutdown_seconds": 2,
        }
        service = Service(StageSettings(**given), clock=Clock(now=clock))
        try:
            await service.start()
            yield Stage(service.address, mails, clock)
        finally:
            await service.stop()
