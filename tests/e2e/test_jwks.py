"""GetJwks and signing keys: tokens that anybody can verify, keys that change without anybody noticing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any

import grpc
import jwt
import pytest
from tests.conftest import Launch
from tests.running import SECRET, Client, Refusal, Running, outcomes, refused

from identity.crypto.key_ring import KeyRing
from identity.crypto.keyring import Keyring
from identity.crypto.vault import Vault
from identity_pb.v1 import session_service_pb2 as pb

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k"}
CLAIMS = {"iss", "aud", "sub", "sid", "amr", "auth_time", "jti", "iat", "exp", "role", "lvl"}


async def jwks(client: Client) -> dict[str, dict[str, str]]:
    """The published keys by their id."""
    answer = await client.sessions.GetJwks(pb.GetJwksRequest())
    keys = [{field.name: value for field, value in key.ListFields()} for key in answer.keys]
    return {key["kid"]: key for key in keys}


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def verify_offline(service: Running, token: str) -> dict[str, Any]:
    """The claims of a token, read with nothing but what the service publishes."""
    key = (await jwks(service))[kid(token)]
    claims = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=[key["alg"]],
        audience="identity",
        issuer="http://127.0.0.1:8080",
        options={
            "require": ["exp", "iat", "iss", "aud", "sub", "sid", "jti"],
            "verify_exp": False,
            "verify_iat": False,
        },
    )
    assert isinstance(claims, dict)
    return claims


@asynccontextmanager
async def busy(client: Client, session: Any) -> AsyncIterator[list[Refusal]]:
    """Somebody who refreshes and reads their session all the time; what they are refused comes back."""
    failures: list[Refusal] = []
    done = asyncio.Event()

    async def work() -> None:
        tokens = session.tokens
        while not done.is_set():
            reads = (client.get_session(token) for token in (tokens.access_token, session.tokens.access_token))
            failures.extend((await outcomes(reads))[1])
            answers, refusals = await outcomes([client.refresh(tokens.refresh_token)])
            failures.extend(refusals)
            tokens = answers[0].tokens

    working = asyncio.create_task(work())
    try:
        yield failures
    finally:
        done.set()
        await working


async def test_JW_04_no_private_part_is_published(service: Running) -> None:
    """A key has its public numbers, an id, an algorithm and a use, and nothing else."""
    keys = await jwks(service)
    assert keys
    for key in keys.values():
        assert not PRIVATE & key.keys()
        assert (key["use"], key["alg"], key["kty"], key["crv"]) == ("sig", "ES256", "EC", "P-256")


async def test_JW_01_a_token_is_verified_offline(service: Running) -> None:
    """With the published key any library reads the token; its claims are the documented ones and no more."""
    session = await service.signed_in()
    header = jwt.get_unverified_header(session.tokens.access_token)
    claims = await verify_offline(service, session.tokens.access_token)
    assert header.keys() == {"alg", "typ", "kid"} and header["typ"] == "at+jwt"
    assert claims.keys() == CLAIMS
    assert (claims["sub"], claims["sid"]) == (session.account.id, session.session.id)
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert len(session.tokens.access_token) < 1536


async def test_JW_01_another_algorithm_may_be_configured(launch: Launch) -> None:
    """Ed25519 keys are published and verified in the same way."""
    service = await launch(signing_algorithm="EdDSA")
    token = (await service.signed_in()).tokens.access_token
    assert {key["crv"] for key in (await jwks(service)).values()} == {"Ed25519"}
    assert (await verify_offline(service, token)).keys() == CLAIMS


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_JW_01_N_44_no_other_algorithm_counts(service: Running, algorithm: str) -> None:
    """A token without a signature, or signed with what is published, is no token."""
    token = (await service.signed_in()).tokens.access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    public = (await jwks(service))[kid(token)]
    secret = "" if algorithm == "none" else public["x"]
    forged = jwt.encode(claims, secret, algorithm, headers={"typ": "at+jwt", "kid": kid(token)})
    assert (await refused(service.get_session(forged))).reason == "UNAUTHENTICATED"


async def test_JW_04_a_rotation_under_load_fails_nobody(launch: Launch) -> None:
    """The next key is published before it signs, the last one counts as long as its tokens live: no call fails."""
    service = await launch()
    two = await launch(database_url=service.database_url, clock=service.clock)
    session = await service.signed_in()
    first = kid(session.tokens.access_token)
    async with busy(service, session) as failures:
        await asyncio.to_thread(service.service._key_ring.rotate)
        await asyncio.to_thread(two.service._key_ring.load)
        published = await jwks(two)
        assert published == await jwks(service) and len(published) == 2
        assert kid((await service.signed_in()).tokens.access_token) == first
        service.clock.advance(minutes=10)
        for node in (service, two):
            await asyncio.to_thread(node.service._key_ring.load)
        fresh = (await service.signed_in()).tokens.access_token
        assert kid(fresh) in published.keys() - {first}
        await two.get_session(fresh)
        await two.get_session(session.tokens.access_token)
    assert failures == []


async def test_JW_04_the_old_key_leaves_when_its_tokens_are_dead(launch: Launch) -> None:
    """A day after its last signature a key is published no more."""
    service = await launch()
    ring = service.service._key_ring
    (first,) = await jwks(service)
    ring.rotate()
    service.clock.advance(minutes=10, hours=24, seconds=-1)
    ring.load()
    assert first in await jwks(service)
    service.clock.advance(seconds=1)
    ring.load()
    assert first not in await jwks(service)


async def test_JW_04_an_emergency_drop_ends_every_old_token_at_once(launch: Launch) -> None:
    """A key that may be known to others stops counting; sessions go on with their refresh tokens."""
    service = await launch()
    two = await launch(database_url=service.database_url, clock=service.clock)
    tokens = (await service.signed_in()).tokens
    await service.get_session(tokens.access_token)
    service.service._key_ring.rotate(at_once=True)
    two.service._key_ring.load()
    for node in (service, two):
        refusal = await refused(node.get_session(tokens.access_token))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert kid(tokens.access_token) not in await jwks(node)
    await two.get_session((await service.refresh(tokens.refresh_token)).tokens.access_token)


async def test_JW_04_an_emergency_drops_the_key_that_another_made_at_the_same_moment_too(launch: Launch) -> None:
    """Two nodes make the next key; the one that was slower was told to drop every other, and does."""
    service = await launch()
    if service.world.database.dialect == "sqlite":
        pytest.skip("one writer at a time: nobody is faster")
    algorithm, vault = service.service.settings.signing_algorithm, service.world.vault
    faster = Thread(target=KeyRing(service.world.database, vault, service.clock, algorithm).rotate)

    class SlowVault(Vault):
        """Seals once somebody else has sealed and committed."""

        def seal(self, plaintext: bytes, context: str) -> bytes:
            if faster.ident is None:
                faster.start()
                faster.join(10)
            return super().seal(plaintext, context)

    slower = KeyRing(service.world.database, SlowVault(Keyring(SECRET)), service.clock, algorithm)
    slower.rotate(at_once=True)
    generations = {row.generation for row in service.world.database.read(lambda tx: tx.signing_keys.all())}
    service.service._key_ring.load()
    assert (generations, list(await jwks(service))) == ({1, 2, 3}, [slower.keys().signing.kid])


async def test_JW_04_a_key_is_replaced_before_it_ends(launch: Launch) -> None:
    """After 90 days another key signs by itself, and it was published before."""
    service = await launch()
    ring = service.service._key_ring
    (first,) = await jwks(service)
    service.clock.advance(days=90, minutes=-15)
    ring.load()
    published = await jwks(service)
    service.clock.advance(minutes=15)
    ring.load()
    token = (await service.signed_in()).tokens.access_token
    assert kid(token) in published.keys() - {first}
