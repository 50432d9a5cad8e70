"""The journal and the log: everything that happened is told, and no secret ever is (LO-01, LO-02, P-16)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import select, text
from tests.conftest import Launch
from tests.journey import SOURCE, found_in, walk
from tests.logs import captured_log
from tests.mail.sink import closed_port
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    Refusal,
    Running,
    new_email,
    outcome,
    refused,
)

from identity.store.tables import audit_events, metadata, outbox
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1.resources_pb2 import Device


@dataclass
class Road:
    """A service on which somebody has done everything, and what nobody may read anywhere."""

    service: Running
    log: StringIO
    email: str
    secrets: dict[str, str] = field(default_factory=dict)


@pytest_asyncio.fixture
async def road(launch: Launch) -> AsyncIterator[Road]:
    """The whole road with a secret of its own at every step, all of it logged."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log)
        road = Road(service, log, new_email())
        road.secrets = await walk(service, road.email)
        yield road


def dump(service: Running) -> bytes:
    """Every value of every table, and the file itself where there is one."""
    rows = [row for table in metadata.sorted_tables for row in service.rows(select(table))]
    values = [value for row in rows for value in row]
    content = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
    if service.database_url.startswith("sqlite:"):
        file = Path(service.database_url.removeprefix("sqlite:///"))
        content += b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
    return content


async def test_P_16_no_secret_is_in_the_database(road: Road) -> None:
    """No password, token or key is at rest in any form that can be used, in the tables or in the file."""
    content = dump(road.service)
    assert found_in(content, road.secrets) == []
    assert found_in(content, {"address": road.email}) == ["address"]


async def test_RC_01_a_mail_that_waits_is_encrypted(launch: Launch) -> None:
    """While the relay is away the token of a mail is in the outbox, and cannot be read there."""
    service = await launch(mail_url=f"smtp://127.0.0.1:{closed_port()}")
    await service.registered()
    (row,) = service.rows(select(outbox))
    values = json.loads(service.world.vault.open(row.sealed, context=f"outbox:{row.id}"))
    assert len(values["token"]) == 43
    assert found_in(dump(service), {"token": values["token"]}) == []


async def test_RC_01_SE_01_the_database_opens_nothing(road: Road) -> None:
    """Whoever reads every row still has no token: neither a digest nor an id is accepted as one."""
    service = road.service
    await service.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(identifier=road.email))
    await service.mails_sent()
    values = [value for table in metadata.sorted_tables for row in service.rows(select(table)) for value in row]
    digests = [value for value in values if isinstance(value, bytes) and len(value) == 32]
    assert digests
    for value in digests:
        for spelled in (value.hex(), urlsafe_b64encode(value).decode(), urlsafe_b64encode(value).decode().rstrip("=")):
            assert (await refused(service.reset(spelled))).reason == "LINK_NOT_FOUND"


async def test_P_16_no_secret_is_in_the_log(road: Road) -> None:
    """Every call is told in one line of JSON, and neither secrets, names nor addresses are."""
    lines = [json.loads(line) for line in road.log.getvalue().splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    assert {"Login", "ResetPassword", "SignOut"} <= {line["method"].rpartition("/")[2] for line in calls}
    assert all(line["request_id"] and line["code"] for line in calls)
    told = {**road.secrets, "address": road.email, "name": "Lovelace"}
    assert found_in(road.log.getvalue().encode(), told) == []


async def test_LO_01_the_journal_tells_what_happened(road: Road) -> None:
    """Who, what, by which factor, from where and in which session, in the order in which it happened."""
    service = road.service
    account = service.account(road.email)
    query = select(audit_events).where(audit_events.c.account_id == account.id).order_by(audit_events.c.id)
    rows = service.rows(query)
    # Ids follow the clock of the service, which stood still for some of them.
    assert sorted(row.event for row in rows) == sorted(
        [
            *("account_registered", "email_verified", "sign_in_failed", "signed_in", "refresh_token_reused"),
            *("password_reset_sent", "password_reset", "signed_in", "password_changed", "signed_out"),
        ]
    )
    by_event = {row.event: row for row in rows if row.source or row.event != "signed_in"}
    assert (by_event["signed_in"].source, by_event["signed_in"].factor) == (SOURCE, "pwd")
    assert by_event["refresh_token_reused"].session_id == by_event["signed_in"].session_id
    assert (by_event["sign_in_failed"].factor, by_event["account_registered"].detail) == ("pwd", {"role": "user"})
    assert all(row.at.tzinfo is not None for row in rows)


async def test_LO_01_the_journal_holds_no_address(road: Road) -> None:
    """An event names people by their id."""
    content = repr(road.service.rows(select(audit_events)))
    assert "@" not in content and "Lovelace" not in content


async def test_LO_01_what_cannot_be_told_does_not_happen(launch: Launch) -> None:
    """The event is part of its transaction: without the journal nothing is done, and nobody is let in."""
    service = await launch()
    email = await service.verified()
    tokens = (await service.login(email)).tokens
    unproven = await service.registered()
    proof = await service.mailbox.token(unproven)
    reset = await service.reset_token(email)
    stranger = new_email()

    setup = pb.SetupRequest(email=new_email(), password=PASSWORD, tenant_name="Acme")
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "setup": lambda: service.auth.Setup(setup),
        "register": lambda: service.registered(stranger),
        "verify": lambda: service.auth.VerifyEmail(pb.VerifyEmailRequest(token=proof)),
        "login": lambda: service.login(email),
        "change": lambda: service.change_password(tokens.access_token, PASSWORD, OTHER_PASSWORD),
        "reset": lambda: service.reset(reset, "the very last staple of the horse"),
        "sign out": lambda: service.sign_out(tokens.access_token),
    }
    service.execute(text("ALTER TABLE audit_events RENAME TO away"))
    before = dump_rows(service)
    for name, call in calls.items():
        refusal = await refused(call())
        assert refusal.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE), name
    assert dump_rows(service) == before
    service.execute(text("ALTER TABLE away RENAME TO audit_events"))
    await service.get_session(tokens.access_token)
    calls.pop("change")  # would use up the link of the reset
    for name, call in calls.items():
        assert not isinstance(await outcome(call()), Refusal), name


def dump_rows(service: Running) -> dict[str, list[Any]]:
    """The rows that matter: not the journal, nor the budgets, which are charged first; of mails that they are there."""
    tables = [table for table in metadata.sorted_tables if table.name not in ("audit_events", "throttles")]
    queries = {table.name: select(outbox.c.id) if table is outbox else select(table) for table in tables}
    return {name: sorted(map(repr, service.rows(query))) for name, query in queries.items()}


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\u2028", '"quoted"', "\N{RIGHT-TO-LEFT OVERRIDE}"])
async def test_LO_02_no_input_makes_a_line_of_its_own(launch: Launch, text: str) -> None:
    """Whatever names, labels and ids hold, a call stays one line of JSON."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log)
        wish = pb.RegisterRequest(email=new_email(), password=PASSWORD, first_name=text, device=Device(name=text))
        await service.auth.Register(wish, metadata=(("x-request-id", "id with spaces"), ("user-agent", "a b")))
    for line in log.getvalue().splitlines():
        assert json.loads(line)["event"]
        assert text not in line and "id with spaces" not in line
