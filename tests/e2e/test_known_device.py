"""Known devices: what they have shown once lets their owner in while strangers guess (LG-03)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import func, select
from tests.company import Person, accept, company, invited, member
from tests.conftest import Launch
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Metadata,
    Running,
    bearer,
    coming_from,
    new_email,
    outcomes,
    refused,
)
from tests.second_factor import challenged, enrolled, verify

from identity.domain.housekeeping import sweep
from identity.store.tables import throttles
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

OFFICE = "203.0.113.77"


async def burn(service: Running, email: str) -> None:
    """A stranger's guesses: the account's budget is used up while the clock stands still."""
    for _ in range(5):
        await refused(service.login(email, WRONG_PASSWORD))
    assert (await refused(service.login(email))).reason == "INVALID_CREDENTIALS"


# What a stranger can do.


async def test_LG_03_a_known_device_signs_in_whatever_a_stranger_guesses(service: Running) -> None:
    """With the account's budget used up, its source's too, and the password locked; nobody else does."""
    email, stranger = await service.verified(), await service.verified()
    known, foreign = (await service.login(email)).device_token, (await service.login(stranger)).device_token
    await refused(service.login(email, WRONG_PASSWORD, metadata=coming_from(OFFICE)))
    service.set_failures("password", str(service.account(email).id), 99)
    await refused(service.login(email, WRONG_PASSWORD))
    assert service.account(email).locked_at is not None
    service.set_failures("source", OFFICE, 100, minutes=15)
    assert (await refused(service.login(stranger, metadata=coming_from(OFFICE)))).reason == "RATE_LIMITED"
    for token in ("", "garbage", known[1:] + known[0], known.swapcase(), foreign, "A" * 44):
        assert (await refused(service.login(email, device_token=token))).reason == "INVALID_CREDENTIALS"
    again = await service.login(email, device_token=known, metadata=coming_from(OFFICE))
    await service.login(email, device_token=again.device_token)
    assert (await refused(service.login(email))).reason == "INVALID_CREDENTIALS"


async def test_LG_03_a_known_device_forgives_no_strangers_failures(service: Running) -> None:
    """The owner's sign-ins on it give nobody else fresh guesses."""
    email = await service.verified()
    known = (await service.login(email)).device_token
    for _ in range(5):
        await refused(service.login(email, WRONG_PASSWORD))
        known = (await service.login(email, device_token=known)).device_token
    await refused(service.login(email, WRONG_PASSWORD))
    assert service.events("sign_in_failed", email) == 5


async def test_LG_01_a_device_token_tells_nothing(service: Running) -> None:
    """Whatever is sent along, whoever is asked for, with attempts left or without: the same bytes."""
    email, other = await service.verified(), await service.verified()
    tokens = ["", "garbage", (await service.login(email)).device_token, (await service.login(other)).device_token]
    seen = set()
    for name in (email, new_email(), "+33612345698"):
        for token in tokens * 3:
            seen.add((await refused(service.login(name, WRONG_PASSWORD, device_token=token))).on_the_wire)
    assert len(seen) == 1


# What a device's own budget is.


async def test_LG_02_N_03_a_known_device_has_five_guesses_and_no_more(service: Running) -> None:
    """On 16 connections at once five of 64 are looked at; the account's own budget is untouched by them."""
    email = await service.verified()
    known = (await service.login(email)).device_token
    async with service.clients(16) as clients:
        calls = (clients[n % 16].login(email, WRONG_PASSWORD, device_token=known) for n in range(64))
        answers, refusals = await outcomes(calls)
    assert not answers and len({refusal.on_the_wire for refusal in refusals}) == 1
    assert service.events("sign_in_failed", email) == 5
    assert (await refused(service.login(email, device_token=known))).reason == "INVALID_CREDENTIALS"
    await service.login(email)
    service.clock.advance(seconds=1)
    await service.login(email, device_token=known)


async def test_N_04_sixteen_right_passwords_of_a_known_device_all_sign_in(service: Running) -> None:
    """Its budget never refuses a right password in a state that is not throttled, however many come at once."""
    email = await service.verified()
    known = (await service.login(email)).device_token
    await burn(service, email)
    async with service.clients(16) as clients:
        answers, refusals = await outcomes(client.login(email, device_token=known) for client in clients)
    assert (len(answers), refusals) == (16, [])


async def test_LG_02_after_a_hundred_failures_a_device_is_unknown(service: Running) -> None:
    """From then on its attempts count as anybody's; the account is not locked, and no row of the budget stays."""
    email = await service.verified()
    session = await service.login(email)
    known, rows = session.device_token, select(func.count()).select_from(throttles)
    before = service.rows(rows)[0][0]
    await refused(service.login(email, WRONG_PASSWORD, device_token=known))
    service.set_failures("device", f"{session.account.id}:{session.session.id}", 99)
    await refused(service.login(email, WRONG_PASSWORD, device_token=known))
    assert (service.rows(rows)[0][0], service.account(email).locked_at) == (before, None)
    await burn(service, email)
    assert (await refused(service.login(email, device_token=known))).reason == "INVALID_CREDENTIALS"


async def test_LG_02_switching_tenants_gives_no_fresh_guesses(service: Running) -> None:
    """A session that replaces another is on the same device: its failures stay, and so do the account's."""
    owner = await company(service)
    for _ in range(4):
        await refused(service.login(owner.email, WRONG_PASSWORD))
    switched = owner.session
    for _ in range(8):
        access = switched.tokens.access_token
        await refused(service.change_password(access, WRONG_PASSWORD, OTHER_PASSWORD))
        request = sessions.SwitchTenantRequest(tenant_id=owner.session.tenant.id)
        switched = (await service.sessions.SwitchTenant(request, metadata=bearer(access))).session
    assert service.events("sign_in_failed", owner.email) == 4 + 5
    for _ in range(2):
        await refused(service.login(owner.email, WRONG_PASSWORD))
    assert service.events("sign_in_failed", owner.email) == 5 + 5
    service.clock.advance(seconds=1)
    await service.login(owner.email, device_token=switched.device_token)


async def test_LG_03_somebody_signed_in_changes_what_they_want_meanwhile(service: Running) -> None:
    """A bearer is known by its own session: neither a change of the password nor one of a factor is held up."""
    email = await service.verified()
    access = (await service.login(email)).tokens.access_token
    await burn(service, email)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    await service.factors.BeginTotpEnrollment(begin, metadata=bearer(access))
    await service.change_password(access, PASSWORD, OTHER_PASSWORD)


async def test_LG_03_the_second_factor_is_asked_for_all_the_same(service: Running) -> None:
    """A known device skips no factor (Z-28), and whoever passes it again and again is never held up."""
    email = await service.verified()
    session = await service.login(email)
    known, person = session.device_token, await enrolled(service, email, session.tokens.access_token)
    for _ in range(7):
        service.clock.advance(minutes=1)
        answer = verify(await challenged(service, email, device_token=known), totp=person.code(service))
        known = (await service.auth.VerifyOtp(answer)).session.device_token
    await burn(service, email)
    await challenged(service, email, device_token=known)


async def test_LG_03_Z_11_a_password_sent_with_its_code_is_known_too(launch: Launch) -> None:
    """Clients that repeat the password beside the code repeat the token too."""
    service = await launch(preset="mobile")
    email = await service.verified()
    session = await service.login(email)
    switch = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await service.factors.SetEmailOtp(switch, metadata=bearer(session.tokens.access_token))
    await burn(service, email)
    await challenged(service, email, device_token=session.device_token)
    code = await service.mailbox.alone(email, "[0-9]{6}")
    who = auth.OtpCredentials(identifier=email, password=PASSWORD)
    answer = auth.VerifyOtpRequest(credentials=who, otp=code)
    assert (await refused(service.auth.VerifyOtp(answer))).reason == "INVALID_CREDENTIALS"
    answer.credentials.device_token = session.device_token
    assert (await service.auth.VerifyOtp(answer)).session.device_token != session.device_token


# How long a device is known.


@dataclass
class Known:
    """Somebody on a device, which is known, and on another one; `owner` runs the company that they are in, if any."""

    email: str
    device: resources.SessionResult
    elsewhere: Metadata
    owner: Person

    @property
    def here(self) -> Metadata:
        return bearer(self.device.tokens.access_token)


async def sign_out(service: Running, known: Known) -> None:
    await service.sessions.SignOut(sessions.SignOutRequest(), metadata=known.here)


async def stay_away(service: Running, known: Known) -> None:
    service.clock.advance(days=36)
    sweep(service.world)


async def get_another_role(service: Running, known: Known) -> None:
    mask, changes = FieldMask(paths=["role"]), accounts.AccountChanges(role="owner")
    wish = accounts.UpdateAccountRequest(id=known.device.account.id, changes=changes, update_mask=mask)
    await service.accounts.UpdateAccount(wish, metadata=known.owner.metadata)


async def change_here(service: Running, known: Known) -> None:
    await service.change_password(known.device.tokens.access_token, PASSWORD, OTHER_PASSWORD)


async def end_the_others(service: Running, known: Known) -> None:
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_OTHERS)
    await service.sessions.RevokeSessions(request, metadata=known.here)


async def end_it(service: Running, known: Known) -> None:
    request = sessions.RevokeSessionRequest(id=known.device.session.id)
    await service.sessions.RevokeSession(request, metadata=known.elsewhere)


async def sign_out_and_end_all(service: Running, known: Known) -> None:
    await sign_out(service, known)
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_ALL)
    await service.sessions.RevokeSessions(request, metadata=known.elsewhere)


async def sign_out_and_end_the_others(service: Running, known: Known) -> None:
    await sign_out(service, known)
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_OTHERS)
    await service.sessions.RevokeSessions(request, metadata=known.elsewhere)


async def change_elsewhere(service: Running, known: Known) -> None:
    await sign_out(service, known)
    request = auth.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
    await service.auth.ChangePassword(request, metadata=known.elsewhere)


async def reset(service: Running, known: Known) -> None:
    await service.reset(await service.reset_token(known.email))


async def sign_out_and_reset(service: Running, known: Known) -> None:
    await sign_out(service, known)
    await reset(service, known)


async def enrol_elsewhere(service: Running, known: Known) -> None:
    await enrolled(service, known.email, (await service.login(known.email)).tokens.access_token)


async def use_a_token_again(service: Running, known: Known) -> None:
    spent = known.device.tokens.refresh_token
    await service.refresh(spent)
    service.clock.advance(seconds=11)
    await refused(service.refresh(spent))


async def be_disabled_for_a_while(service: Running, known: Known) -> None:
    for action in (accounts.ACCOUNT_ACTION_DISABLE, accounts.ACCOUNT_ACTION_ENABLE):
        request = accounts.SetAccountStatusRequest(id=known.device.account.id, action=action)
        await service.accounts.SetAccountStatus(request, metadata=known.owner.metadata)


async def stay_away_for_long(service: Running, known: Known) -> None:
    service.clock.advance(days=38)
    sweep(service.world)


Happening = Callable[[Running, Known], Awaitable[None]]
STAYS: tuple[Happening, ...] = (sign_out, stay_away, get_another_role, change_here, end_the_others)
GOES: tuple[Happening, ...] = (
    *(end_it, sign_out_and_end_all, sign_out_and_end_the_others, change_elsewhere, reset, sign_out_and_reset),
    *(enrol_elsewhere, use_a_token_again, be_disabled_for_a_while, stay_away_for_long),
)
OF_MEMBERS: tuple[Happening, ...] = (get_another_role, be_disabled_for_a_while)
NEW_PASSWORD: tuple[Happening, ...] = (change_here, change_elsewhere, reset, sign_out_and_reset)


@pytest.mark.parametrize("happens", [*STAYS, *GOES], ids=lambda happens: happens.__name__)
async def test_LG_03_a_device_is_known_until_there_is_doubt(service: Running, happens: Happening) -> None:
    """Leaving spares it, also for weeks; whatever ends sessions for safety ends it, also after a sign-out."""
    if happens in OF_MEMBERS:
        owner = await company(service)
        person = await member(service, owner)
    else:
        email = await service.verified()
        person = owner = Person(email, await service.login(email))
    elsewhere = bearer((await service.login(person.email)).tokens.access_token)

    await happens(service, Known(person.email, person.session, elsewhere, owner))

    await burn(service, person.email)
    password = OTHER_PASSWORD if happens in NEW_PASSWORD else PASSWORD
    call = service.login(person.email, password, device_token=person.session.device_token)
    answers, refusals = await outcomes([call])
    assert bool(answers) == (happens in STAYS)
    assert {refusal.reason for refusal in refusals} <= {"INVALID_CREDENTIALS"}


async def test_LG_03_RC_08_a_squatters_device_is_unknown_once_the_owner_comes(launch: Launch) -> None:
    """Who registered with another's address has no budget of their own any more when that accepts an invitation."""
    service = await launch(preset="tenant")
    email, host = new_email(), await service.verified(tenant_name="Host")
    wish = auth.RegisterRequest(email=email, password=WRONG_PASSWORD, tenant_name="Squat")
    squatter = (await service.auth.Register(wish)).session.device_token
    _, token = await invited(service, Person(host, await service.login(host)), email=email)
    await service.invites.AcceptInvite(accept(token))
    await burn(service, email)
    await refused(service.login(email, WRONG_PASSWORD, device_token=squatter))
    assert service.events("sign_in_failed", email) == 5


async def test_N_19_a_device_of_a_deleted_account_is_nobodys(service: Running) -> None:
    """Whoever gets the address next is not known by it."""
    owner = await company(service)
    person = await member(service, owner)
    await service.accounts.DeleteAccount(accounts.DeleteAccountRequest(id=person.id), metadata=owner.metadata)
    await service.registered(person.email)
    token = await service.mailbox.token(person.email, subject="Confirm")
    await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
    await burn(service, person.email)
    refusal = await refused(service.login(person.email, device_token=person.session.device_token))
    assert refusal.reason == "INVALID_CREDENTIALS"
