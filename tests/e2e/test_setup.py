"""GetSetupStatus and Setup: open once, to whoever holds the console, and closed for ever afterwards."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import delete, func, select
from tests.conftest import Launch
from tests.e2e.passwords import assert_refuses
from tests.running import PASSWORD, Metadata, Running, coming_from, new_email, outcomes, refused

from identity.store.tables import accounts, deployment, memberships, tenants
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1 import resources_pb2 as resources

ELSEWHERE = coming_from("203.0.113.5")


def wish(**fields: Any) -> pb.SetupRequest:
    return pb.SetupRequest(**{"email": new_email(), "password": PASSWORD, "tenant_name": "Écluse", **fields})


async def set_up(service: Running, *, metadata: Metadata = (), **fields: Any) -> resources.SessionResult:
    answer = await service.auth.Setup(wish(**fields), metadata=metadata)
    assert isinstance(answer, pb.SetupResponse)
    return answer.session


async def is_open(service: Running) -> bool:
    status = await service.auth.GetSetupStatus(pb.GetSetupStatusRequest())
    return bool(status.needs_setup)


def rows(service: Running) -> list[int]:
    """How many accounts, tenants, memberships and closing rows there are."""
    return [
        service.rows(select(func.count()).select_from(table))[0][0]
        for table in (accounts, tenants, memberships, deployment)
    ]


def day(**fields: Any) -> resources.OpeningHours:
    return resources.OpeningHours(**{"day_of_week": 1, "open_time": "09:00", "close_time": "18:00", **fields})


def attributes(values: dict[str, Any]) -> Struct:
    result = Struct()
    result.update(values)
    return result


async def test_AZ_06_from_elsewhere_the_bootstrap_secret_is_needed(launch: Launch) -> None:
    """Without it or with another one nothing happens; with it somebody on another machine sets up."""
    service = await launch()
    secret = service.service.open_setup_secret
    assert secret
    for wrong in (None, "", secret[:-1], f"{secret} ", secret.swapcase()):
        refusal = await refused(set_up(service, metadata=ELSEWHERE, bootstrap_secret=wrong))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "BOOTSTRAP_SECRET_INVALID")
    assert await is_open(service) and rows(service) == [0, 0, 0, 0]
    await set_up(service, metadata=ELSEWHERE, bootstrap_secret=secret)
    assert service.service.open_setup_secret is None


async def test_what_is_refused_leaves_the_setup_open(launch: Launch) -> None:
    """Bad passwords, names as passwords, hours that end before they begin and odd attributes change nothing."""
    service = await launch()
    await assert_refuses(lambda password: set_up(service, password=password), "password")
    named = set_up(service, password="The Long Salon Name", tenant_name="the long salon name")
    assert (await refused(named)).reason == "PASSWORD_BLOCKLISTED"
    bad: dict[str, dict[str, Any]] = {
        "opening_hours[1].close_time": {"opening_hours": [day(), day(day_of_week=2, close_time="09:00")]},
        "opening_hours[0]": {"opening_hours": [resources.OpeningHours(day_of_week=1)]},
        "opening_hours": {"opening_hours": [day(), day()]},
        "contact.email": {"contact": resources.Contact(email="a@b@example.org")},
        "attributes": {"attributes": attributes({"opening_hours": "always"})},
        "email": {"email": "a,b@example.org"},
    }
    for field, fields in bad.items():
        refusal = await refused(set_up(service, **fields))
        assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", [field])
    assert await is_open(service) and rows(service) == [0, 0, 0, 0]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
async def test_F_16_numbers_that_are_none_are_refused(service: Running, number: str) -> None:
    """JSON knows no infinity: such an attribute is a bad request, not a fault of ours."""
    refusal = await refused(set_up(service, attributes=attributes({"deep": [{"number": float(number)}]})))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["attributes"])


async def test_AZ_06_N_25_the_setup_never_opens_again(launch: Launch) -> None:
    """Once done it is refused, with the right secret and from the console, also when every account is gone."""
    service = await launch()
    secret = service.service.open_setup_secret
    await set_up(service)
    for _ in range(2):
        assert not await is_open(service)
        for metadata in ((), ELSEWHERE):
            refusal = await refused(set_up(service, metadata=metadata, bootstrap_secret=secret))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SETUP_DONE")
        service.execute(delete(accounts))
        service.execute(delete(tenants))
    restarted = await launch(database_url=service.database_url)
    assert not await is_open(restarted)
    assert rows(service) == [0, 0, 0, 1]


async def test_F_07_fifty_setups_at_once_make_one_administrator(launch: Launch) -> None:
    """One caller signs in; the others are told that somebody was faster, and leave nothing behind."""
    service = await launch()
    async with service.clients(10) as clients:
        answers, refusals = await outcomes(clients[n % 10].auth.Setup(wish()) for n in range(50))
    assert len(answers) == 1
    assert {refusal.reason for refusal in refusals} == {"SETUP_DONE"}
    assert rows(service) == [1, 1, 1, 1]
    session = await service.get_session(answers[0].session.tokens.access_token)
    assert session.membership.role.key == "admin"


async def test_AZ_06_a_registered_address_does_not_close_the_setup(launch: Launch) -> None:
    """Registering before the first run neither closes it nor gives its rights; its address cannot be taken over."""
    service = await launch()
    email = await service.registered()
    assert (await refused(set_up(service, email=email))).reason == "EMAIL_TAKEN"
    assert await is_open(service) and rows(service)[3] == 0
    await set_up(service)


def test_N_24_the_status_is_one_bit() -> None:
    """The answer tells whether the set-up is open, and no count of anything."""
    assert [field.name for field in pb.GetSetupStatusResponse.DESCRIPTOR.fields] == ["needs_setup"]


async def test_the_administrator_and_the_tenant_are_as_asked(launch: Launch) -> None:
    """Every field is kept at its full length, the address counts as proven, and the session can be refreshed."""
    service = await launch()
    hours = [day(day_of_week=0, open_time="08:30"), resources.OpeningHours(day_of_week=6, is_closed=True)]
    contact = resources.Contact(email="salon@example.org", phone="0" * 32, address="a" * 500)
    told = attributes({"chairs": 4, "tags": ["a", None, True], "more": {"": "x"}})
    made = await set_up(
        service,
        password="p" * 128,
        first_name="f" * 100,
        last_name="l" * 100,
        tenant_name="n" * 255,
        tenant_kind="k" * 64,
        contact=contact,
        opening_hours=hours,
        attributes=told,
        device=resources.Device(type="t" * 64, name="n" * 128, os="o" * 64, fingerprint="f" * 256),
        locale="nl",
    )
    await service.login(made.account.email, "p" * 128)
    read = await service.get_session((await service.refresh(made.tokens.refresh_token)).tokens.access_token)
    assert (read.tenant, read.membership) == (made.tenant, made.membership)
    assert (read.account.name, read.account.locale) == ("f" * 100 + " " + "l" * 100, "nl")
    assert read.account.HasField("email_verified_at")
    assert (read.tenant.name, read.tenant.kind, read.tenant.contact) == ("n" * 255, "k" * 64, contact)
    assert list(read.tenant.opening_hours) == hours
    assert read.tenant.attributes == told
    assert (read.membership.role.key, read.membership.role.level) == ("admin", 100)
