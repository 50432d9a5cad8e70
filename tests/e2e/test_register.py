"""Register: who may become what, and what a stranger learns about those who are there already."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.message import Message
from sqlalchemy import func, select
from tests.conftest import Launch
from tests.e2e.passwords import ACCEPTED, assert_refuses
from tests.mailbox import text_of
from tests.running import OTHER_PASSWORD, PASSWORD, Running, coming_from, new_email, outcomes, refused

from identity.store.tables import accounts, memberships, tenants
from identity_pb.v1 import auth_service_pb2 as pb

COMPOSED = "Correct-horse-battery-9"
TELLING = {"uniform": False, "signs_in": True, "unique_tenant_names": True}


async def register(service: Running, *, source: str | None = None, **fields: Any) -> pb.RegisterResponse:
    request = pb.RegisterRequest(**{"email": new_email(), "password": PASSWORD, **fields})
    answer = await service.auth.Register(request, metadata=coming_from(source) if source else ())
    assert isinstance(answer, pb.RegisterResponse)
    return answer


def count(service: Running, table: Any, *where: Any) -> int:
    return int(service.rows(select(func.count()).select_from(table).where(*where))[0][0])


def shape(message: Message) -> dict[str, Any]:
    """What is told at all, without what differs between any two people."""
    return {
        field.name: shape(value) if isinstance(value, Message) else "…" if field.name in DIFFERENT else value
        for field, value in message.ListFields()
    }


DIFFERENT = {"id", "email"}


def outline(message: Message) -> dict[str, Any]:
    """The same, also without names."""
    told = shape(message)
    if "tenant" in told:
        told["tenant"] = {**told["tenant"], "name": "…", "slug": "…"}
    return told


async def test_PW_01_PW_04_passwords_that_are_refused(service: Running) -> None:
    """Too short, too long and common passwords are refused with their reason, and nobody is registered."""
    email = new_email()
    await assert_refuses(lambda password: register(service, email=email, password=password), "password")
    assert count(service, accounts, accounts.c.email == email) == 0


@pytest.mark.parametrize("field", ["email", "tenant_name", "last_name", "name"])
async def test_PW_04_no_password_is_made_of_ones_own_names(service: Running, field: str) -> None:
    """The address, a name and the company's name are no passwords, whatever the case."""
    word = "Some.Long.Name@example.org" if field == "email" else "Some Long Name Ltd"
    fields = {"role": "owner", "tenant_name": "Acme", field: word}
    refusal = await refused(register(service, password=word.upper(), **fields))
    assert refusal.reason == "PASSWORD_BLOCKLISTED"


async def test_PW_03_composition_is_asked_only_where_the_preset_does(launch: Launch) -> None:
    """With `composition` a password that lacks a kind of character is refused, and told which."""
    service = await launch(policy={"password": {"composition": True}})
    refusal = await refused(register(service, password=PASSWORD))
    assert (refusal.reason, refusal.info.metadata["missing"]) == ("PASSWORD_COMPOSITION", "upper,digit")
    await register(service, password="Correct horse battery staple 1")


async def test_PW_02_passwords_that_are_taken_as_they_are(service: Running) -> None:
    """From 15 to 128 code points of any script, spaces at the ends included; nothing is cut or trimmed."""
    for password in ACCEPTED:
        email = await service.verified(password=password)
        await service.login(email, password)
        for other in (password[:-1], password.strip() if password != password.strip() else f"{password[:-1]}y"):
            assert (await refused(service.login(email, other))).reason == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("role", ["admin", "superadmin", "root", "", "Owner", "owner "])
async def test_AZ_05_nobody_registers_with_a_role_that_is_given(service: Running, role: str) -> None:
    """Only the roles of the preset's allow-list can be chosen; another spelling is not one of them."""
    before = count(service, accounts)
    refusal = await refused(register(service, role=role, tenant_name="Acme"))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["role"])
    assert refusal.reason in ("ROLE_NOT_ALLOWED", "INVALID_REQUEST")
    assert count(service, accounts) == before


async def test_AZ_05_every_role_of_the_preset_is_given_or_chosen(service: Running) -> None:
    """The sweep over all roles: those with `self_register` are taken, all others refused."""
    for key, role in service.world.policy.roles.items():
        answers, refusals = await outcomes([register(service, role=key, tenant_name=f"{key} works")])
        assert [refusal.reason for refusal in refusals] == ([] if role.self_register else ["ROLE_NOT_ALLOWED"])
        assert [answer.HasField("tenant") for answer in answers] == [bool(role.creates_tenant)] * role.self_register


async def test_AZ_05_registering_never_joins_a_tenant(service: Running) -> None:
    """A name that is there already gives a tenant of its own, under the next free slug."""
    first, second = [await register(service, role="owner", tenant_name="Böhm & Söhne") for _ in range(2)]
    assert (first.tenant.slug, second.tenant.slug) == ("bohm-sohne", "bohm-sohne-2")
    assert first.tenant.id != second.tenant.id
    assert count(service, memberships, memberships.c.tenant_id == UUID(first.tenant.id)) == 1


async def test_an_owner_needs_the_name_of_a_tenant(service: Running) -> None:
    """A role that creates a tenant is refused without a name for it."""
    refusal = await refused(register(service, role="owner"))
    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ["tenant_name"])


async def test_registration_can_be_closed(launch: Launch) -> None:
    """Where no role can be chosen, nobody registers."""
    roles = {"user": {"self_register": False}, "owner": {"self_register": False}}
    refusal = await refused(register(await launch(policy={"roles": roles})))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "REGISTRATION_CLOSED")


@pytest.mark.parametrize(
    "email",
    [
        *("a@evil.example,b@victim.example", "a@evil.example;b@victim.example", "a@b@example.org", "<a@example.org>"),
        *(
            "a@example.org\r\nBcc: b@example.org",
            "a @example.org",
            "@example.org",
            "a@",
            "a@-example.org",
            "a@exa_mple",
        ),
        *("a@example..org", "a" * 65 + "@example.org", "a@" + "b" * 250 + ".org", "\N{KELVIN SIGN}@example.org"),
        *("a\N{RIGHT-TO-LEFT OVERRIDE}b@example.org", "a@stra\N{LATIN SMALL LETTER SHARP S}e.example"),
    ],
)
async def test_LG_05_N_37_only_one_plain_address(service: Running, email: str) -> None:
    """Separators, line breaks, look-alikes of letters and what is no address at all are refused, naming the field."""
    refusal = await refused(register(service, email=email))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ["email"]


async def test_LG_05_spellings_of_one_address_are_one_account(service: Running) -> None:
    """ASCII case and the case of the domain do not make another person; the mail goes to the stored spelling."""
    email = await service.verified()
    other = email.upper()
    await service.registered(other, OTHER_PASSWORD)
    service.clock.advance(minutes=2)
    await register(service, email=other)
    await service.mailbox.wait(email, 2)
    assert service.mailbox.count(other) == 0
    await service.login(other, PASSWORD)


async def test_LG_05_N_43_look_alikes_are_different_people(service: Running) -> None:
    """A letter that Unicode would fold into an ASCII one stays another letter, so another account."""
    mike = await service.verified(f"mike.{new_email()}")
    turkish = await service.verified(mike.replace("i", "\N{LATIN SMALL LETTER DOTLESS I}", 1), OTHER_PASSWORD)
    assert (await service.login(mike)).account.id != (await service.login(turkish, OTHER_PASSWORD)).account.id
    assert (await refused(service.login(turkish, PASSWORD))).reason == "INVALID_CREDENTIALS"


async def test_Z_24_a_taken_address_looks_free(service: Running) -> None:
    """The answer tells as much and the same about a taken address as about a free one; its owner gets a notice."""
    taken = await service.verified()
    service.clock.advance(minutes=2)
    fields = {"role": "owner", "tenant_name": "Uniform", "first_name": "Eve", "locale": "en"}
    await register(service, **fields)
    repeated = await register(service, email=taken, password=OTHER_PASSWORD, **fields)
    free = await register(service, **fields)
    assert shape(repeated) == {**shape(free), "tenant": {**shape(free.tenant), "slug": repeated.tenant.slug}}
    assert repeated.account.email == taken
    assert repeated.account.id != str(service.account(taken).id)
    notice = await service.mailbox.wait(taken, 2)
    assert notice["Subject"] == "You already have an account"
    await service.login(taken)
    assert (await refused(service.login(taken, OTHER_PASSWORD))).reason == "INVALID_CREDENTIALS"


async def test_Z_24_the_made_up_tenant_gives_nothing_away(service: Running) -> None:
    """A taken address gets the slug that the next tenant of the name would get, and keeps it as that would."""
    taken = await service.verified()
    answers = [
        await register(service, email=email, role="owner", tenant_name="Given away")
        for email in (new_email(), taken, new_email())
    ]
    assert [answer.tenant.slug for answer in answers] == ["given-away", "given-away-2", "given-away-3"]
    made_up = answers[1].tenant.id
    assert count(service, tenants, tenants.c.id == UUID(made_up), tenants.c.suspended_at.is_not(None)) == 1
    assert count(service, memberships, memberships.c.tenant_id == UUID(made_up)) == 0


@pytest.mark.parametrize("preset", ["standard", "merchant", "mobile", "organization"])
async def test_Z_24_every_role_is_answered_alike(launch: Launch, preset: str) -> None:
    """Whatever a preset that hides addresses lets people register as, the answer has the same in it for a taken one."""
    service = await launch(preset=preset)
    assert service.world.policy.registration.uniform
    taken = await service.registered(password=COMPOSED, role=None, tenant_name="Theirs")
    for key, role in service.world.policy.roles.items():
        if role.self_register:
            free, repeated = [
                await register(service, email=email, password=COMPOSED, role=key, tenant_name=f"{key} {email}")
                for email in (new_email(), taken)
            ]
            assert outline(repeated) == outline(free), key


async def test_Z_24_a_taken_number_looks_free(service: Running) -> None:
    """Somebody who brings their own address gets its mail, and an account without the number of somebody else."""
    number = "+31687654321"
    theirs = await service.registered(phone=number)
    answer = await register(service, phone=number)
    assert answer.account.phone == number and answer.email_verification_sent
    await service.mailbox.token(answer.account.email)
    assert (service.account(theirs).phone, service.account(answer.account.email).phone) == (number, None)


async def test_Z_24_the_preset_may_tell_what_is_taken(launch: Launch) -> None:
    """Where registering signs in, a taken address, number or name is refused, with a reason of its own each."""
    service = await launch(policy={"registration": TELLING, "verified_email_to_sign_in": False})
    company = {"role": "owner", "tenant_name": "Acme"}
    first = await register(service, phone="+33 6 12 34 56 78", **company)
    assert (await service.get_session(first.session.tokens.access_token)).tenant.slug == "acme"
    before = [count(service, table) for table in (accounts, tenants, memberships)]
    for fields, reason in (
        ({"email": first.account.email}, "EMAIL_TAKEN"),
        ({"phone": "0612345678", "phone_country": "FR"}, "PHONE_TAKEN"),
        (company, "TENANT_NAME_TAKEN"),
    ):
        refusal = await refused(register(service, **fields))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, reason)
    assert [count(service, table) for table in (accounts, tenants, memberships)] == before


async def test_Z_24_the_preset_may_not_say_which_is_taken(launch: Launch) -> None:
    """Without `name_the_conflict` an address and a name that are taken are refused in the same bytes."""
    quiet = {**TELLING, "name_the_conflict": False}
    service = await launch(policy={"registration": quiet, "verified_email_to_sign_in": False})
    company = {"role": "owner", "tenant_name": "Acme"}
    first = await register(service, **company)
    refusals = [await refused(register(service, **fields)) for fields in ({"email": first.account.email}, company)]
    assert refusals[0].reason == "ALREADY_REGISTERED"
    assert refusals[0].on_the_wire == refusals[1].on_the_wire


async def test_LG_04_a_source_registers_thirty_times_an_hour(service: Running) -> None:
    """The thirty-first registration of a /64 is refused with the time to wait; other networks go on."""
    for n in range(30):
        await register(service, source=f"2001:db8:1:1::{n:x}")
    refusal = await refused(register(service, source="2001:db8:1:1:ffff::1"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refusal.retry_after == 3600
    await register(service, source="2001:db8:1:2::1")
    service.clock.advance(hours=1)
    await register(service, source="2001:db8:1:1::1")


async def test_the_mail_is_in_the_language_that_was_chosen(service: Running) -> None:
    """The verification mail is written in the account's own language."""
    email = new_email()
    await register(service, email=email, locale="fr")
    assert "adresse" in text_of(await service.mailbox.wait(email))


async def test_a_number_is_enough_to_register(service: Running) -> None:
    """An account may have a phone number and no address; it signs in with any spelling of the number."""
    answer = await register(service, email=None, phone="+32 470 12 34 56")
    assert (answer.account.phone, answer.email_verification_sent) == ("+32470123456", False)
    request = pb.LoginRequest(identifier="0470/12.34.56", phone_country="BE", password=PASSWORD)
    signed_in = await service.auth.Login(request)
    assert signed_in.session.account.id == answer.account.id
