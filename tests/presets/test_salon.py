"""The salon product over gRPC, its document from top to bottom."""

from __future__ import annotations

import grpc
from tests.conftest import Launch
from tests.running import bearer, new_email, refused

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

PASSWORD = "mijn salon is open"


async def test_the_document_from_top_to_bottom(launch: Launch) -> None:
    """Set up, sign in with and without the phone's refresh token, let staff in, push devices, and sign out."""
    service = await launch(preset="salon")
    assert (await service.auth.GetSetupStatus(auth.GetSetupStatusRequest())).needs_setup
    email = new_email()
    monday = resources.OpeningHours(day_of_week=1, open_time="09:00", close_time="18:00")
    salon = auth.SetupRequest(
        name="Admin",
        email=email,
        password=PASSWORD,
        tenant_name="Salon",
        contact=resources.Contact(email="info@salon.nl", phone="020 123 4567", address="Straat 1"),
        opening_hours=[monday, resources.OpeningHours(day_of_week=0, is_closed=True)],
    )
    setup = await service.auth.Setup(salon)
    assert (setup.session.account.name, setup.session.membership.role.key) == ("Admin", "admin")
    assert setup.session.tenant.kind == "salon" and len(setup.session.tenant.opening_hours) == 2
    done = await refused(service.auth.Setup(salon))
    assert (done.code, done.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SETUP_DONE")
    assert not (await service.auth.GetSetupStatus(auth.GetSetupStatusRequest())).needs_setup

    plain = await service.login(email, PASSWORD)
    assert not plain.tokens.HasField("refresh_token")
    lifetime = plain.tokens.access_expires_at.seconds - plain.session.created_at.seconds
    assert lifetime == 8 * 3600
    phone = await service.login(email, PASSWORD, remember=True)
    renewed = await service.sessions.RefreshSession(
        sessions.RefreshSessionRequest(refresh_token=phone.tokens.refresh_token, include_account=True)
    )
    assert (renewed.account.name, renewed.membership.role.key) == ("Admin", "admin")
    admin = bearer(renewed.tokens.access_token)

    nobody = await refused(service.auth.Register(auth.RegisterRequest(email=new_email(), password=PASSWORD)))
    assert nobody.reason == "REGISTRATION_CLOSED"
    staff = new_email()
    created = await service.accounts.CreateAccount(
        accounts.CreateAccountRequest(email=staff, name="Kapper"), metadata=admin
    )
    assert (created.membership.role.key, created.account.require_password_change) == ("staff", True)
    taken = await refused(
        service.accounts.CreateAccount(accounts.CreateAccountRequest(email=staff, name="Kapper"), metadata=admin)
    )
    assert (taken.code, taken.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")

    temporary = await service.mailbox.alone(staff, "[A-Za-z0-9]{4}(-[A-Za-z0-9]{4}){3}")
    first = await service.auth.Login(auth.LoginRequest(identifier=staff, password=temporary))
    assert first.WhichOneof("result") == "password_change"
    restricted = first.password_change.tokens.access_token
    other = await refused(service.accounts.ListAccounts(accounts.ListAccountsRequest(), metadata=bearer(restricted)))
    assert other.reason == "PASSWORD_CHANGE_REQUIRED"
    once = await refused(service.auth.Login(auth.LoginRequest(identifier=staff, password=temporary)))
    assert once.reason == "INVALID_CREDENTIALS"
    await service.change_password(restricted, temporary, PASSWORD + "!")
    kapper = await service.login(staff, PASSWORD + "!")

    listed = await service.accounts.ListAccounts(accounts.ListAccountsRequest(), metadata=admin)
    assert [(row.account.name, row.membership.role.key) for row in listed.members] == [
        ("Admin", "admin"),
        ("Kapper", "staff"),
    ]
    forbidden = await refused(
        service.accounts.ListAccounts(accounts.ListAccountsRequest(), metadata=bearer(kapper.tokens.access_token))
    )
    assert forbidden.code is grpc.StatusCode.PERMISSION_DENIED

    device = sessions.RegisterPushDeviceRequest(token="device-token", platform=sessions.PUSH_PLATFORM_IOS)
    await service.sessions.RegisterPushDevice(device, metadata=bearer(kapper.tokens.access_token))
    await service.sessions.RegisterPushDevice(device, metadata=admin)
    mine = await service.sessions.ListPushDevices(sessions.ListPushDevicesRequest(), metadata=admin)
    theirs = await service.sessions.ListPushDevices(
        sessions.ListPushDevicesRequest(), metadata=bearer(kapper.tokens.access_token)
    )
    assert (len(mine.push_devices), len(theirs.push_devices)) == (1, 0)
    await service.sessions.RemovePushDevice(sessions.RemovePushDeviceRequest(token="device-token"), metadata=admin)

    await service.sessions.SignOut(sessions.SignOutRequest(refresh_token=renewed.tokens.refresh_token), metadata=admin)
    over = await refused(service.refresh(renewed.tokens.refresh_token))
    assert over.code is grpc.StatusCode.UNAUTHENTICATED
