"""ChangePassword: by whoever is signed in and knows the password, or names an account and knows it."""

from __future__ import annotations

import grpc
import pytest
from sqlalchemy import update
from tests.conftest import Launch
from tests.e2e.passwords import ACCEPTED, assert_refuses
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Metadata,
    Refusal,
    Running,
    bearer,
    new_email,
    outcomes,
    refused,
)

from identity.store.tables import accounts
from identity_pb.v1 import auth_service_pb2 as pb


async def change_of(
    service: Running, identifier: str, current: str = PASSWORD, new: str = OTHER_PASSWORD, *, metadata: Metadata = ()
) -> pb.ChangePasswordResponse:
    wish = pb.ChangePasswordRequest(identifier=identifier, current_password=current, new_password=new)
    answer = await service.auth.ChangePassword(wish, metadata=metadata)
    assert isinstance(answer, pb.ChangePasswordResponse)
    return answer


async def test_PW_01_PW_04_passwords_that_are_refused(service: Running) -> None:
    """The rules of registering hold here too, and the password stays what it was."""
    email = await service.verified()
    token = (await service.login(email)).tokens.access_token
    await assert_refuses(lambda password: service.change_password(token, PASSWORD, password), "new_password")
    await service.login(email, PASSWORD)


async def test_PW_04_no_password_is_made_of_ones_own_names(service: Running) -> None:
    """The account's own address and name are no passwords, and neither is the one it has."""
    email = await service.verified(name="Augusta Ada King-Lovelace")
    token = (await service.login(email)).tokens.access_token
    for word in (email.upper(), "augusta ada king-lovelace"):
        assert (await refused(service.change_password(token, PASSWORD, word))).reason == "PASSWORD_BLOCKLISTED"
    refusal = await refused(service.change_password(token, PASSWORD, PASSWORD))
    assert (refusal.reason, refusal.fields) == ("PASSWORD_UNCHANGED", ["new_password"])


async def test_PW_02_passwords_that_are_taken_as_they_are(service: Running) -> None:
    """Nothing is cut or trimmed."""
    email, current = await service.verified(), PASSWORD
    for password in ACCEPTED:
        await change_of(service, email, current, password)
        assert (await refused(service.login(email, password[:-1]))).reason == "INVALID_CREDENTIALS"
        await service.login(email, password)
        current = password


async def test_PW_06_choosing_badly_is_no_failed_attempt(service: Running) -> None:
    """Whoever has proven the current password may try new ones without being held back."""
    email = await service.verified()
    for _ in range(10):
        assert (await refused(change_of(service, email, PASSWORD, "too short"))).reason == "PASSWORD_TOO_SHORT"
    await change_of(service, email)


async def test_PW_06_a_session_alone_changes_nothing(service: Running) -> None:
    """The current password is asked for as well; a wrong one is refused and counted, the session goes on."""
    email = await service.verified()
    token = (await service.login(email)).tokens.access_token
    refusal = await refused(service.change_password(token, WRONG_PASSWORD, OTHER_PASSWORD))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert service.events("sign_in_failed", email) == 1
    await service.get_session(token)
    await service.login(email)


async def test_PW_06_nobody_named_is_unauthenticated(service: Running) -> None:
    """Without a bearer and without an identifier there is nobody whose password could be meant."""
    wish = pb.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
    refusal = await refused(service.auth.ChangePassword(wish))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


@pytest.mark.parametrize("token", ["nonsense", ""])
async def test_PW_06_a_bad_bearer_is_not_ignored(service: Running, token: str) -> None:
    """A bearer that is sent has to be good, even where none is needed."""
    email = await service.verified()
    refusal = await refused(change_of(service, email, metadata=bearer(token)))
    assert refusal.reason == "UNAUTHENTICATED"
    await service.login(email, PASSWORD)


async def test_Z_03_a_bearer_changes_its_own_password_only(service: Running) -> None:
    """Naming somebody else fails like a wrong password, whoever that is, with the right password of either."""
    mallory, victim = await service.verified(password=OTHER_PASSWORD), await service.verified()
    token = (await service.login(mallory, OTHER_PASSWORD)).tokens.access_token
    new = "yet another horse battery staple"
    refusals = [
        await refused(change_of(service, name, current, new, metadata=bearer(token)))
        for name, current in ((victim, PASSWORD), (victim, OTHER_PASSWORD), (new_email(), OTHER_PASSWORD))
    ]
    assert {refusal.reason for refusal in refusals} == {"INVALID_CREDENTIALS"}
    assert len({refusal.on_the_wire for refusal in refusals}) == 1
    await service.login(victim, PASSWORD)
    await service.login(mallory, OTHER_PASSWORD)


async def test_Z_03_without_a_bearer_it_fails_like_a_sign_in(service: Running) -> None:
    """Unknown, wrong, disabled and throttled get the bytes of a failed sign-in."""
    disabled, throttled = await service.verified(), await service.verified()
    service.execute(update(accounts).where(accounts.c.email == disabled).values(status="disabled"))
    for _ in range(5):
        await refused(service.login(throttled, WRONG_PASSWORD))
    refusals: list[Refusal] = [
        await refused(service.login(new_email())),
        await refused(change_of(service, new_email())),
        await refused(change_of(service, await service.verified(), WRONG_PASSWORD)),
        await refused(change_of(service, disabled)),
        await refused(change_of(service, throttled)),
    ]
    assert len({refusal.on_the_wire for refusal in refusals}) == 1


async def test_LG_06_what_refuses_a_sign_in_refuses_the_change(service: Running) -> None:
    """Without a session, an unproven address and a lock stand in the way, told to whoever knows the password."""
    unproven, locked = await service.registered(), await service.verified()
    service.execute(update(accounts).where(accounts.c.email == locked).values(status="locked"))
    assert (await refused(change_of(service, unproven))).reason == "EMAIL_NOT_VERIFIED"
    assert (await refused(change_of(service, locked))).reason == "ACCOUNT_LOCKED"


async def test_PW_06_the_other_sessions_end(service: Running) -> None:
    """The session that changes goes on with both of its tokens, every other one ends, and the owner is told."""
    email = await service.verified()
    mine, *others = [(await service.login(email)).tokens for _ in range(3)]
    changed = await service.change_password(mine.access_token, PASSWORD, OTHER_PASSWORD)
    assert changed.sessions_ended == 2
    for tokens in others:
        assert (await refused(service.get_session(tokens.access_token))).reason == "SESSION_REVOKED"
        assert (await refused(service.refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"
    await service.get_session((await service.refresh(mine.refresh_token)).tokens.access_token)
    assert (await refused(service.login(email))).reason == "INVALID_CREDENTIALS"
    await service.login(email, OTHER_PASSWORD)
    assert (await service.mailbox.wait(email, 2))["Subject"] == "Your password was changed"


async def test_Z_03_without_a_bearer_all_sessions_end(service: Running) -> None:
    """Whoever only names the account keeps no session of it."""
    email = await service.verified()
    opened = [(await service.login(email)).tokens for _ in range(2)]
    assert (await change_of(service, email.upper())).sessions_ended == 2
    for tokens in opened:
        assert (await refused(service.get_session(tokens.access_token))).reason == "SESSION_REVOKED"


async def test_PW_06_reset_links_die_with_the_password(service: Running) -> None:
    """A link that was mailed before the change does not undo it."""
    email = await service.verified()
    link = await service.reset_token(email)
    await change_of(service, email)
    assert (await refused(service.reset(link, PASSWORD))).reason == "LINK_USED"


async def test_PW_06_of_changes_at_the_same_time_one_wins(service: Running) -> None:
    """Each needs the password that it replaces, so the first one makes the others wrong."""
    email = await service.verified()
    passwords = [f"a password for attempt {n}" for n in range(16)]
    async with service.clients(8) as clients:
        requests = [
            pb.ChangePasswordRequest(identifier=email, current_password=PASSWORD, new_password=new) for new in passwords
        ]
        answers, refusals = await outcomes(clients[n % 8].auth.ChangePassword(requests[n]) for n in range(16))
    assert len(answers) == 1
    assert {refusal.reason for refusal in refusals} == {"INVALID_CREDENTIALS"}
    stored = service.account(email).password_hash
    assert sum(service.world.passwords.verify(password, stored) for password in passwords) == 1


async def test_SE_04_a_change_ends_sessions_that_another_process_opened(launch: Launch) -> None:
    """Sessions are ended wherever they were opened."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    email = await one.verified()
    tokens = (await two.login(email)).tokens
    await change_of(one, email)
    assert (await refused(two.refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"


async def test_LG_06_who_may_not_sign_in_changes_no_password_either(service: Running) -> None:
    """The gate is asked of whoever comes without a session, and the password stays what it was."""
    email = await service.verified()
    ban = update(accounts).where(accounts.c.email == email)
    service.execute(ban.values(status="disabled"))
    no = await refused(change_of(service, email))
    assert no.reason == (await refused(service.login(email))).reason
    service.execute(ban.values(status="active"))
    await service.login(email)
