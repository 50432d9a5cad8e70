"""Every field of every request, set by somebody who may do little: nothing makes them more (AZ-03, N-17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import Select, select
from tests.e2e.contract import call, methods, name_of, path_of
from tests.e2e.neighbours import Neighbours, filled, neighbours
from tests.running import Refusal, Running, new_email, outcome

from identity.store import tables
from identity_pb.v1 import access_pb2

TURNS = 4
MISUNDERSTOOD = {"SessionService.RemovePushDevice"}  # it takes one of its two fields, and here it gets both
_phones = count(70_000_000)
PROFILE = {"first_name", "last_name", "name", "locale", "avatar_url", "updated_at"}
# These end the session that the others are called with.
LAST = ("SwitchTenant", "RevokeSession", "RevokeSessions", "SignOut")
# Whatever says who somebody is and what they may do.
PRIVILEGES: dict[str, Select[Any]] = {
    "accounts": select(*(column for column in tables.accounts.c if column.name not in PROFILE)),
    **{
        table.name: select(table)
        for table in (tables.memberships, tables.tenants, tables.roles, tables.invites, tables.factors)
    },
    "sessions": select(*(tables.sessions.c[name] for name in ("id", "tenant_id", "role", "level", "amr", "scope"))),
}


def privileges(service: Running) -> dict[str, set[str]]:
    """The rows of everybody who is here."""
    return {name: {repr(tuple(row)) for row in service.rows(query)} for name, query in PRIVILEGES.items()}


def tried_by(of: Neighbours) -> Mapping[str, Sequence[Any]]:
    """What somebody would send, by the ends of the names of fields: their own ids, their owner's, and higher roles."""
    me, owner, tenant = str(of.member.account.id), str(of.owner.account.id), of.owner.tenant
    return {
        "tenant_email": (of.owner.email,),
        "email": (of.member.email, new_email(), new_email(), of.owner.email),
        "identifier": (of.member.email, of.owner.email),
        "password": ("seven lanterns in a row",),
        "tenant_id": (str(tenant.id),),
        "account_id": (me, owner),
        "department_id": ("sales",),
        "team_ids": ("red",),
        "id": (me, owner, *of.ids),
        "slug": (tenant.slug,),
        "role": ("admin", "owner", "user", "porter"),
        "key": ("porter", "owner"),
        "kind": ("company",),
        "locale": ("nl", "fr"),
        "phone": tuple(f"+336{next(_phones):08}" for _ in range(TURNS)),
        "country": ("FR",),
        "url": ("/me.png",),
        "time": ("08:00",),
        "day_of_week": (1,),
        "is_closed": (False,),
        "page_token": ("",),
        **dict.fromkeys(("code", "totp", "otp"), ("123456",)),
        "recovery_code": ("k7tq-k7tq-k7tq",),
    }


@pytest.mark.parametrize("who", ["member", "nobody"])
async def test_AZ_03_N_17_nobody_makes_themselves_more(service: Running, who: str) -> None:
    """Role, level, proof, status, tenant, factors: of everybody they are what they were, whatever was sent."""
    ours = await neighbours(service)
    before, understood = privileges(service), set[str]()
    public = (access_pb2.ACCESS_PUBLIC, access_pb2.ACCESS_CHALLENGE)
    callable_ = [
        method
        for method in methods()
        if not method.server_streaming
        and (who == "member" or method.GetOptions().Extensions[access_pb2.access] in public)
        # Whoever sets a place up becomes its administrator; that nobody does it twice has tests of its own.
        and name_of(method) != "AuthService.Setup"
    ]
    for method in sorted(callable_, key=lambda method: LAST.index(method.name) if method.name in LAST else -1):
        for turn in range(TURNS):
            request = filled(GetMessageClass(method.input_type), tried_by(ours), turn)
            raw, metadata = request.SerializeToString(), ours.bearers.get(who, ())
            answer = await outcome(call(service.channel, path_of(method), raw, metadata))
            if not isinstance(answer, Refusal) or answer.reason != "INVALID_REQUEST":
                understood.add(name_of(method))

    after = privileges(service)
    assert {name: rows - after[name] for name, rows in before.items() if rows - after[name]} == {}
    registered = service.rows(
        select(tables.accounts.c.role, tables.accounts.c.email_verified_at).where(
            tables.accounts.c.number > ours.member.account.number
        )
    )
    assert {tuple(row) for row in registered} <= {("owner", None), ("user", None)}
    joined = select(tables.memberships.c.account_id).where(tables.memberships.c.tenant_id == ours.owner.tenant.id)
    assert {row[0] for row in service.rows(joined)} == {ours.owner.account.id, ours.member.account.id}
    assert {name_of(method) for method in callable_} - understood <= MISUNDERSTOOD
    if who == "nobody":
        assert registered
