"""The notice of a sign-in on a device that an account was not entered on before (LO-03)."""

from __future__ import annotations

import pytest
from tests.conftest import Launch
from tests.mailbox import text_of
from tests.running import WRONG_PASSWORD, Running, coming_from, refused

from identity_pb.v1.resources_pb2 import Device

PHONE = Device(type="Mobile", name="Fairphone 5", os="Android 15", fingerprint="f-1")
LAPTOP = Device(type="Desktop", name="Firefox", os="Linux", fingerprint="f-2")
SUBJECT = "New device on your account"


async def notices(service: Running, email: str) -> list[str]:
    """The texts of the notices that an address got."""
    await service.mails_sent()
    return [" ".join(text_of(mail).split()) for mail in service.mailbox.of(email) if mail["Subject"] == SUBJECT]


async def test_LO_03_the_very_first_sign_in_is_no_news(service: Running) -> None:
    """Whoever registers and signs in gets no notice, whatever the device."""
    email = await service.verified()
    await service.login(email, device=PHONE)
    assert await notices(service, email) == []


async def test_LO_03_a_known_device_is_no_news(service: Running) -> None:
    """A device stays known while others come, and after its session has ended."""
    email = await service.verified()
    tokens = (await service.login(email, device=PHONE)).tokens
    await service.login(email, device=LAPTOP)
    await service.sign_out(tokens.access_token)
    for device in (PHONE, LAPTOP, PHONE):
        await service.login(email, device=device)
    assert len(await notices(service, email)) == 1


async def test_LO_03_clients_that_say_nothing_of_themselves_are_one_device(service: Running) -> None:
    """Without any label there is nothing to tell devices apart by."""
    email = await service.verified()
    for _ in range(3):
        await service.login(email)
    assert await notices(service, email) == []
    await service.login(email, device=PHONE)
    assert len(await notices(service, email)) == 1


async def test_LO_03_who_is_not_let_in_is_no_news(service: Running) -> None:
    """A wrong password on a new device mails nothing, so nobody is flooded by it."""
    email = await service.verified()
    await service.login(email, device=PHONE)
    await refused(service.login(email, WRONG_PASSWORD, device=LAPTOP))
    assert await notices(service, email) == []


async def test_LO_03_a_new_device_is_told_with_its_name_and_source(service: Running) -> None:
    """The mail says when, on what and from where."""
    email = await service.verified()
    await service.login(email, device=PHONE)
    service.clock.advance(minutes=1)
    await service.login(email, device=LAPTOP, metadata=coming_from("203.0.113.9"))
    (text,) = await notices(service, email)
    assert "(Firefox, Linux), from the network address 203.0.113.9." in text
    assert f"{service.clock.now:%H:%M} UTC" in text


@pytest.mark.parametrize("label", ["type", "name", "os", "fingerprint"])
async def test_LO_03_each_label_makes_another_device(service: Running, label: str) -> None:
    """Devices are the same only if they say the same in every word."""
    email = await service.verified()
    await service.login(email, device=PHONE)
    other = Device()
    other.CopyFrom(PHONE)
    setattr(other, label, "another")
    await service.login(email, device=other)
    assert len(await notices(service, email)) == 1


async def test_LO_03_somebody_elses_device_is_new(service: Running) -> None:
    """What is known of one account says nothing about another."""
    first, second = await service.verified(), await service.verified()
    for email in (first, second):
        await service.login(email, device=PHONE)
    await service.login(second, device=LAPTOP)
    await service.login(first, device=LAPTOP)
    assert [len(await notices(service, email)) for email in (first, second)] == [1, 1]


async def test_LO_03_a_deployment_can_do_without(launch: Launch) -> None:
    """The policy switches the notice off."""
    service = await launch(policy={"new_device_notice": False})
    email = await service.verified()
    for device in (PHONE, LAPTOP):
        await service.login(email, device=device)
    assert await notices(service, email) == []
