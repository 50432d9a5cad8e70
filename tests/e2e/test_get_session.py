"""GetSession: who is let in by an access token, and what it tells."""

from __future__ import annotations

import grpc
import pytest
from tests.conftest import Launch
from tests.running import (
    Metadata,
    Running,
    bearer,
    coming_from,
    refused,
)

from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as pb


def spellings(token: str, refresh_token: str) -> dict[str, Metadata]:
    """What is not exactly one bearer of an access token."""
    return {
        "nothing": (),
        "empty": bearer(""),
        "nonsense": bearer("nonsense"),
        "refresh token": bearer(refresh_token),
        "lower-case scheme": (("authorization", f"bearer {token}"),),
        "no scheme": (("authorization", token),),
        "basic": (("authorization", f"Basic {token}"),),
        "twice": (*bearer(token), *bearer(token)),
        "cookie": (("cookie", f"authorization=Bearer {token}"),),
        "padded": bearer(f"{token}="),
        "leading space": bearer(f" {token}"),
        "without signature": bearer(token.rpartition(".")[0] + "."),
        "cut": bearer(token[:-1]),
    }


async def test_AZ_01_only_an_access_token_lets_in(service: Running) -> None:
    """Everything that is not exactly one bearer of a live access token gets the same refusal."""
    tokens = (await service.signed_in()).tokens
    for kind, metadata in spellings(tokens.access_token, tokens.refresh_token).items():
        refusal = await refused(service.sessions.GetSession(pb.GetSessionRequest(), metadata=metadata))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"), kind


async def test_P_12_every_corruption_of_an_access_token_is_refused(service: Running) -> None:
    """One character that is another one anywhere in the token makes it worthless."""
    token = (await service.signed_in()).tokens.access_token
    for n in range(0, len(token), 7):
        changed = token[:n] + ("A" if token[n] != "A" else "g") + token[n + 1 :]
        assert (await refused(service.get_session(changed))).reason == "UNAUTHENTICATED", n


async def test_JW_03_an_access_token_lives_fifteen_minutes(service: Running) -> None:
    """Fifteen minutes and the five seconds by which clocks may differ, then it is expired."""
    token = (await service.signed_in()).tokens.access_token
    service.clock.advance(minutes=15, seconds=4)
    await service.get_session(token)
    service.clock.advance(seconds=1)
    assert (await refused(service.get_session(token))).reason == "TOKEN_EXPIRED"


async def test_SE_05_every_sign_in_is_a_new_session(service: Running) -> None:
    """Signing in with the tokens of an older session at hand still opens a fresh one."""
    email = await service.verified()
    first = await service.login(email)
    second = await service.login(email, metadata=bearer(first.tokens.access_token))
    assert first.session.id != second.session.id
    assert (await service.refresh(second.tokens.refresh_token)).session_id == second.session.id
    await service.get_session(first.tokens.access_token)


async def test_SE_06_the_twenty_first_session_ends_the_oldest(service: Running) -> None:
    """An account has at most twenty sessions; the oldest makes room, with both its tokens, and the journal says so."""
    email = await service.verified()
    opened = []
    for _ in range(21):
        opened.append((await service.login(email)).tokens)
        service.clock.advance(seconds=1)
    assert (await refused(service.get_session(opened[0].access_token))).reason == "SESSION_REVOKED"
    assert (await refused(service.refresh(opened[0].refresh_token))).reason == "SESSION_REVOKED"
    for tokens in opened[1:]:
        await service.get_session(tokens.access_token)
    assert service.events("session_evicted", email) == 1


async def test_SE_06_ended_sessions_do_not_count(service: Running) -> None:
    """Who signs out each time is never short of a session."""
    email = await service.verified()
    first = (await service.login(email)).tokens
    for _ in range(21):
        await service.sign_out((await service.login(email)).tokens.access_token)
    await service.get_session(first.access_token)


async def test_the_session_tells_who_where_and_with_what(service: Running) -> None:
    """Account, tenant, role with its permissions, device, source and times, as they were at the sign-in."""
    email = await service.verified(role="owner", tenant_name="Écluse & Fils", last_name="Lovelace", first_name="Ada")
    device = resources.Device(type="phone", name="Ada's phone", os="Some OS 3", fingerprint="f" * 256)
    signed_in = await service.login(
        email, metadata=coming_from("203.0.113.9"), device=device, origin=resources.ORIGIN_APPLICATION
    )
    read = await service.get_session(signed_in.tokens.access_token)
    assert (read.account.email, read.account.name) == (email, "Ada Lovelace")
    assert read.account.sign_ins.current_ip == "203.0.113.9"
    assert (read.tenant.slug, read.tenant.kind) == ("ecluse-fils", "company")
    assert (read.membership.role.key, read.membership.role.level) == ("owner", 90)
    assert read.membership.role.permissions["tenant"].actions["edit"]
    assert read.session.device == device
    assert read.session.origin == resources.ORIGIN_APPLICATION
    assert (read.session.ip, list(read.session.amr), read.session.current) == ("203.0.113.9", ["pwd"], True)
    assert read.session.authenticated_at.ToDatetime() == service.clock.now.replace(tzinfo=None)
    assert read.expires_at == read.session.expires_at == signed_in.session.expires_at


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-user-id"])
async def test_LG_04_other_headers_say_nothing_about_the_source(service: Running, header: str) -> None:
    """Only `x-client-ip` of a trusted hop names the client; everything else is ignored."""
    signed_in = await service.login(await service.verified(), metadata=((header, "203.0.113.9"),))
    assert not signed_in.session.HasField("ip")


async def test_LG_04_an_untrusted_peer_cannot_name_its_source(launch: Launch) -> None:
    """From a peer that is no trusted hop even `x-client-ip` changes nothing."""
    service = await launch(trusted_proxies="192.0.2.0/24")
    signed_in = await service.login(await service.verified(), metadata=coming_from("203.0.113.9"))
    assert not signed_in.session.HasField("ip")
