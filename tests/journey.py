"""A journey with a secret of its own at every step, and the search for these secrets where they must not be (P-16)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterator

from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    SECRET,
    WRONG_PASSWORD,
    Running,
    coming_from,
    new_email,
    refused,
)

from identity_pb.v1 import auth_service_pb2 as pb

SOURCE = "203.0.113.77"


async def walk(service: Running, email: str) -> dict[str, str]:
    """Somebody does everything; what nobody may read anywhere afterwards, by name."""
    opened = service.service.open_setup_secret or ""
    await service.auth.Setup(
        pb.SetupRequest(email=new_email(), password=PASSWORD, tenant_name="Acme", bootstrap_secret=opened)
    )
    await service.registered(email, first_name="Ada", last_name="Lovelace")
    verification = await service.mailbox.token(email)
    await service.auth.VerifyEmail(pb.VerifyEmailRequest(token=verification))
    await refused(service.login(email, WRONG_PASSWORD))
    signed_in = await service.login(email, metadata=coming_from(SOURCE))
    refreshed = await service.refresh(signed_in.tokens.refresh_token)
    await service.get_session(refreshed.tokens.access_token)
    service.clock.advance(seconds=11)
    await refused(service.refresh(signed_in.tokens.refresh_token))
    reset = await service.reset_token(email)
    await refused(service.reset(f"{reset}x"))
    await service.reset(reset, OTHER_PASSWORD)
    again = await service.login(email, OTHER_PASSWORD)
    last = "the very last staple of the horse"
    await service.change_password(again.tokens.access_token, OTHER_PASSWORD, last)
    await service.sign_out(again.tokens.access_token)
    await service.mails_sent()
    return {
        "master secret": SECRET,
        "bootstrap secret": opened,
        "password": PASSWORD,
        "wrong password": WRONG_PASSWORD,
        "reset password": OTHER_PASSWORD,
        "changed password": last,
        "verification token": verification,
        "reset token": reset,
        "access token": refreshed.tokens.access_token,
        "refresh token": refreshed.tokens.refresh_token,
        "used refresh token": signed_in.tokens.refresh_token,
    }


def found_in(content: bytes, secrets: dict[str, str]) -> list[str]:
    """Which secrets are in some content, as they are or decoded."""
    return [name for name, secret in secrets.items() if any(form in content for form in forms(secret))]


def forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    if " " not in secret and "." not in secret:
        raw = urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        yield from (raw, raw.hex().encode())
