"""P-16: whatever RPC is called, a secret is where it belongs and nowhere else.

The contract itself says what is secret: the fields that it redacts. Whatever any of them held, in a request or in an
answer of any RPC, is looked for in the log, in the journal, in the metrics, in refusals, in mails and in the database;
and so are the people, by what all their names and addresses have in them (LO-01).
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import select
from tests.conftest import Launch
from tests.effort import FIXED_SEED, effort
from tests.logs import captured_log
from tests.property.doors import GrpcDoor
from tests.property.playing import Done, Letter, Playing, new_serial
from tests.property.plays import RPCS, STREAMS, Move, messages_in
from tests.running import Running
from tests.telemetry.scraping import scrape

from identity.domain.service_access import create_service_key
from identity.store.tables import audit_events, metadata

SHORTEST = 12
"""Characters that are in no other text by chance: codes of six digits are."""
ENDING = {"SignOut", "RevokeSession", "RevokeSessions", "ChangePassword", "ResetPassword", "SetAccountStatus"}
ENDING |= {"DeleteAccount", "UpdateAccount"}
"""What leaves nobody signed in comes last."""

MAILED = {"token", "code", "password"}


class Canaries:
    """Every secret that a play has had in its hands, by the field it was in first."""

    def __init__(self) -> None:
        self.by_value: dict[str, str] = {}
        self.letters: list[Letter] = []
        self.codes: dict[str, set[str]] = defaultdict(set)

    def __call__(self, done: Done) -> None:
        self.codes[done.rpc].add(done.answer.code)
        self.letters += done.letters
        for message in (done.request, done.answer.message):
            for inner in messages_in(message) if isinstance(message, Message) else ():
                for each, value in inner.ListFields():
                    if each.GetOptions().debug_redact:
                        for one in value if each.is_repeated else [value]:
                            self.add(one, each.full_name)
        for letter in done.letters:
            self.add(letter.secret, f"mail {letter.kind}")

    def add(self, value: str | bytes, where: str) -> None:
        text = value if isinstance(value, str) else base64.b64encode(value).decode()
        if len(text) >= SHORTEST:
            self.by_value.setdefault(text, where)

    def found_in(self, content: bytes) -> set[str]:
        """Where the secrets were that are in some content, as they are or decoded."""
        return {where for value, where in self.by_value.items() if any(form in content for form in forms(value))}


def forms(value: str) -> Iterator[bytes]:
    """A secret as it is written, and the bytes that it may stand for, plain and in hexadecimal."""
    yield value.encode()
    for decode in (base64.urlsafe_b64decode, base64.b32decode):
        try:
            raw = decode(value + "=" * (-len(value) % (8 if decode is base64.b32decode else 4)))
        except (binascii.Error, ValueError):
            continue
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") == value or decode is base64.b32decode:
            yield from (raw, raw.hex().encode())


async def test_P_16_LO_01_no_secret_of_any_rpc_is_anywhere_else(launch: Launch) -> None:
    """After calls of every RPC: not in the log, the journal, the metrics, a refusal, another's mail or the database."""
    canaries, rng, names = Canaries(), Random(FIXED_SEED), [name for name in RPCS if name not in STREAMS]
    refusals: list[str] = []
    serials: list[str] = []
    with captured_log() as (call_log, log):
        service = await launch(log=call_log, metrics_address="127.0.0.1:0")
        service.service.dispatcher.stop()
        key = create_service_key(service.world, "anything", ["token:introspect", "reset:issue"])
        service.tend()
        door = GrpcDoor(service, refusals.append)
        canaries.add(key, "service key")
        for _ in range(effort(3, 100)):
            play = Playing(service, new_serial(), door=door, service_key=key)
            play.watchers.append(canaries)
            await play.begin()
            for name in sorted(rng.sample(names, len(names)), key=lambda name: name.partition(".")[2] in ENDING):
                await play.move(Move(name, rng.randbytes(64)))
            serials.append(play.serial)
        metrics = await scrape(service)

    refused = {name for name in names if canaries.codes[name] <= {"INVALID_ARGUMENT"}}
    assert not refused, "nothing of these came past the rules of the contract"
    assert sum("OK" in codes for codes in canaries.codes.values()) > 35
    journal = repr(service.rows(select(audit_events)))
    told = {"log": log.getvalue(), "journal": journal, "metrics": metrics.text, "refusals": "\n".join(refusals)}
    assert {place: canaries.found_in(text.encode()) for place, text in told.items()} == {place: set() for place in told}
    assert [place for place, text in told.items() if any(serial in text for serial in serials)] == [], "a name is there"
    content = content_of(service)
    assert canaries.found_in(content) == set()
    assert all(serial.encode() in content for serial in serials), "the search would find nothing"
    for letter in canaries.letters:
        rest = repr({name: value for name, value in letter.values.items() if name not in MAILED})
        assert canaries.found_in(rest.encode()) == set(), letter.kind
    owners = {(letter.secret, letter.recipient) for letter in canaries.letters if len(letter.secret) >= SHORTEST}
    assert len(owners) == len({secret for secret, _ in owners}), "a secret was mailed to two people"


def content_of(service: Running) -> bytes:
    """Every value of every table, and the file itself where there is one."""
    rows: list[Any] = [row for table in metadata.sorted_tables for row in service.rows(select(table))]
    values = [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    if service.database_url.startswith("sqlite:"):
        file = Path(service.database_url.removeprefix("sqlite:///"))
        values += [part.read_bytes() for part in file.parent.glob(f"{file.name}*")]
    return b"\n".join(values)
