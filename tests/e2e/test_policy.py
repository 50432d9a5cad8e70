"""Who gets what from which RPC, compared with `policy.txt`, which is reviewed like code (P-15, AZ-01).

Each RPC is called with what it asks for at least, by everybody in every state that a credential can be in. To accept a
change, run this with IDENTITY_TEST_ACCEPT=1 and read the difference.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from sqlalchemy import update
from tests.conftest import Launch
from tests.e2e.contract import call, methods, name_of, path_of
from tests.e2e.fields import least
from tests.residents import resident
from tests.running import PASSWORD, Metadata, Refusal, Running, bearer, new_email, outcome

from identity.domain.service_access import create_service_key, learn_service_keys
from identity.store.tables import tenants
from identity_pb.v1 import access_pb2
from identity_pb.v1 import auth_service_pb2 as auth

GOLDEN = Path(__file__).with_name("policy.txt")
SCOPES = ("token:introspect", "session:watch", "reset:issue")


async def callers(service: Running) -> Mapping[str, Metadata]:
    """Everybody who may call, by the name that the golden file has for them."""
    owner, suspended = resident(service), resident(service)
    user, gone = resident(service, "user", owner.tenant), resident(service, "user", owner.tenant)
    temporary = resident(service, "user", owner.tenant, require_password_change=True)

    async def token_of(email: str) -> Metadata:
        return bearer((await service.login(email)).tokens.access_token)

    expired = await token_of(user.email)
    service.clock.advance(minutes=20)
    ended = await token_of(gone.email)
    await service.sign_out(ended[0][1].removeprefix("Bearer "))
    restricted = await service.auth.Login(auth.LoginRequest(identifier=temporary.email, password=PASSWORD))
    elsewhere = await token_of(suspended.email)
    now = service.clock.now
    service.execute(update(tenants).where(tenants.c.id == suspended.tenant.id).values(suspended_at=now))
    keys = {scope: bearer(create_service_key(service.world, scope, [scope])) for scope in SCOPES}
    learn_service_keys(service.world)
    return {
        "nobody": (),
        "nonsense": bearer("nonsense"),
        "a refresh token": bearer((await service.login(user.email)).tokens.refresh_token),
        "a token too old": expired,
        "a session that ended": ended,
        "a temporary password": bearer(restricted.password_change.tokens.access_token),
        "a user": await token_of(user.email),
        "an owner": await token_of(owner.email),
        "an owner, tenant suspended": elsewhere,
        **{f"a key for {scope}": key for scope, key in keys.items()},
    }


async def answer(service: Running, method: MethodDescriptor, metadata: Metadata) -> str:
    """OK, or the reason of the refusal."""
    request: Any = least(method)
    if getattr(request, "email", ""):
        request.email = new_email()
    raw, stream = request.SerializeToString(), bool(method.server_streaming)
    given = await outcome(call(service.channel, path_of(method), raw, metadata, stream=stream))
    return given.reason if isinstance(given, Refusal) else "OK"


async def test_P_15_everybody_gets_what_the_policy_says(launch: Launch) -> None:
    """No RPC answers anybody otherwise than it was agreed; a new one has to be agreed on."""
    service = await launch()
    everybody = await callers(service)
    lines: list[str] = []
    # Last of all what ends the session of whoever calls it.
    for method in sorted(methods(), key=lambda method: method.name == "SignOut"):
        access = access_pb2.Access.Name(method.GetOptions().Extensions[access_pb2.access])
        answers: dict[str, list[str]] = defaultdict(list)
        for name, metadata in everybody.items():
            answers[await answer(service, method, metadata)].append(name)
        lines += ["", f"{name_of(method)} ({access.removeprefix('ACCESS_')})"]
        lines += [f"  {reason}: {'; '.join(names)}" for reason, names in answers.items()]
    found = "\n".join(lines[1:]) + "\n"
    if os.environ.get("IDENTITY_TEST_ACCEPT"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()
