"""Codes wherever they are asked for: each guess is counted, and all of them share the factor's budget (N-16, OT-05)."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from google.protobuf.descriptor import Descriptor
from sqlalchemy import delete, select
from tests.e2e.contract import methods, name_of
from tests.residents import app_of, resident
from tests.running import OTHER_PASSWORD, PASSWORD, Running, bearer, refused
from tests.second_factor import challenged

from identity.store.tables import throttles
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources

PROOFS = {"totp", "email_code", "recovery_code", "otp", "code"}


def takes_codes(message: Descriptor) -> bool:
    """Whether a request of this type has a field for a code, in itself or one message below."""
    inside = [field.message_type for field in message.fields if field.message_type is not None]
    below = (field.name for each in inside if each.file.package == "identity.v1" for field in each.fields)
    return bool(PROOFS & {*message.fields_by_name, *below})


def proof(code: str) -> dict[str, Any]:
    return {"current_password": PASSWORD, "second_factor": resources.SecondFactor(totp=code)}


class Person:
    """Somebody with an app, signed in before it was one, with an enrolment and a sign-in that wait for a code."""

    def __init__(self, service: Running) -> None:
        self.service, self.who = service, resident(service)

    async def prepare(self) -> None:
        service = self.service
        session = await service.login(self.who.email)
        self.metadata, self.session_id = bearer(session.tokens.access_token), session.session.id
        begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
        begun = await service.factors.BeginTotpEnrollment(begin, metadata=self.metadata)
        self.enrolment, self.new_app = begun.enrollment_token, pyotp.TOTP(begun.secret)
        self.app = app_of(service, self.who.account)
        listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=self.metadata)
        self.factor_id = listed.factors[0].id
        self.challenge = await challenged(service, self.who.email)
        apps, now = (self.app, self.new_app), service.clock.now
        codes = {app.at(now, counter_offset=step) for app in apps for step in (-1, 0, 1)}
        self.wrong = next(code for code in ("000000", *map(str, range(111_111, 111_121))) if code not in codes)

    async def answer(self, rpc: str, code: str) -> None:
        """Call an RPC with a code and with everything else right."""
        service, mine = self.service, self.metadata
        match rpc:
            case "AuthService.VerifyOtp":
                await service.auth.VerifyOtp(auth.VerifyOtpRequest(challenge_token=self.challenge, totp=code))
            case "AuthService.ChangePassword":
                change = auth.ChangePasswordRequest(new_password=OTHER_PASSWORD, **proof(code))
                await service.auth.ChangePassword(change, metadata=mine)
            case "FactorService.BeginTotpEnrollment":
                await service.factors.BeginTotpEnrollment(
                    factors.BeginTotpEnrollmentRequest(**proof(code)), metadata=mine
                )
            case "FactorService.ConfirmTotpEnrollment":
                confirm = factors.ConfirmTotpEnrollmentRequest(enrollment_token=self.enrolment, code=code)
                await service.factors.ConfirmTotpEnrollment(confirm, metadata=mine)
            case "FactorService.RemoveFactor":
                remove = factors.RemoveFactorRequest(id=self.factor_id, **proof(code))
                await service.factors.RemoveFactor(remove, metadata=mine)
            case "FactorService.RegenerateRecoveryCodes":
                renew = factors.RegenerateRecoveryCodesRequest(**proof(code))
                await service.factors.RegenerateRecoveryCodes(renew, metadata=mine)
            case "FactorService.SetEmailOtp":
                switch = factors.SetEmailOtpRequest(enabled=True, **proof(code))
                await service.factors.SetEmailOtp(switch, metadata=mine)
            case _:
                raise AssertionError(f"{rpc} takes a code: say here how")


ENROLMENT = "FactorService.ConfirmTotpEnrollment"
# A code that is guessed there is one of an app that the guesser was just shown.
CONSUMERS = [name_of(method) for method in methods() if takes_codes(method.input_type)]
GUESSED = [rpc for rpc in CONSUMERS if rpc != ENROLMENT]


def charges(person: Person) -> int:
    """How many guesses at the person's app were looked at."""
    world = person.service.world
    key = world.throttle_keys.digest("code", f"{person.who.account.id}:totp")
    found = person.service.rows(select(throttles.c.charges).where(throttles.c.key == key))
    return int(found[0].charges) if found else 0


def forgive_password(person: Person) -> None:
    """Let attempts at the password, which was right each time, cost nothing: this is about the code."""
    key = person.service.world.throttle_keys.digest("device", f"{person.who.account.id}:{person.session_id}")
    person.service.execute(delete(throttles).where(throttles.c.key == key))


@pytest.mark.parametrize("rpc", GUESSED)
async def test_N_16_a_wrong_code_is_counted_wherever_it_is_sent(service: Running, rpc: str) -> None:
    """Each RPC whose request can hold a code charges the account's budget for it, and writes it down."""
    person = Person(service)
    await person.prepare()
    for failures in (1, 2):
        assert (await refused(person.answer(rpc, person.wrong))).reason == "OTP_INVALID"
        assert charges(person) == service.events("code_failed", person.who.account.id) == failures


async def test_OT_05_N_16_all_share_one_budget(service: Running) -> None:
    """Five wrong codes here and there, and no right one is let in anywhere, nor looked at."""
    person = Person(service)
    await person.prepare()
    for rpc in GUESSED[:5]:
        assert (await refused(person.answer(rpc, person.wrong))).reason == "OTP_INVALID"
    for rpc in GUESSED:
        forgive_password(person)
        assert (await refused(person.answer(rpc, person.app.at(service.clock.now)))).reason == "OTP_INVALID", rpc
    assert charges(person) == 5


async def test_OT_05_an_enrolment_has_five_tries_of_its_own(service: Running) -> None:
    person = Person(service)
    await person.prepare()
    for _ in range(5):
        assert (await refused(person.answer(ENROLMENT, person.wrong))).reason == "OTP_INVALID"
    right = person.new_app.at(service.clock.now)
    assert (await refused(person.answer(ENROLMENT, right))).reason == "OTP_INVALID"
    assert (charges(person), service.events("code_failed", person.who.account.id)) == (0, 5)


async def test_OT_05_OT_07_whoever_comes_in_by_recovery_code_gets_a_new_app(service: Running) -> None:
    """After a hundred wrong codes for the old app it is of no use any more, and its successor is."""
    person = Person(service)
    await person.prepare()
    assert (await refused(person.answer("AuthService.VerifyOtp", person.wrong))).reason == "OTP_INVALID"
    service.set_failures("code", f"{person.who.account.id}:totp", 100, minutes=9_999_999)
    old = person.app.at(service.clock.now)
    assert (await refused(person.answer("AuthService.VerifyOtp", old))).reason == "OTP_INVALID"
    await person.answer(ENROLMENT, person.new_app.at(service.clock.now))
    service.clock.advance(minutes=1)
    person.challenge = await challenged(service, person.who.email)
    await person.answer("AuthService.VerifyOtp", person.new_app.at(service.clock.now))
