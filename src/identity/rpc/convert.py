"""Between the contract's messages and the domain's values; pure functions, nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from identity.domain.accounts import Account, AccountStatus, PersonName
from identity.domain.auth.proceed import LoginResult, MfaChallenge, TenantChoice
from identity.domain.auth.setup import OpeningHours
from identity.domain.callers import Source
from identity.domain.code_proof import Code
from identity.domain.errors import InvalidRequest
from identity.domain.factors import FactorType
from identity.domain.policy import Role
from identity.domain.sessions import Device, Place, Session
from identity.domain.sign_in import Client, SignedIn, Tokens
from identity.domain.tenants import Membership, Tenant
from identity_pb.v1 import resources_pb2 as pb

_STATUS = {
    AccountStatus.ACTIVE: pb.ACCOUNT_STATUS_ACTIVE,
    AccountStatus.LOCKED: pb.ACCOUNT_STATUS_LOCKED,
    AccountStatus.DISABLED: pb.ACCOUNT_STATUS_DISABLED,
}
_FACTOR = {
    FactorType.TOTP: pb.FACTOR_TYPE_TOTP,
    FactorType.EMAIL_OTP: pb.FACTOR_TYPE_EMAIL_OTP,
    FactorType.RECOVERY_CODE: pb.FACTOR_TYPE_RECOVERY_CODE,
}
_ORIGIN_PREFIX = "ORIGIN_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# From the wire.


def read(message: Message, field: str) -> Any:
    """The value of an optional field; None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def read_client(request: Any, source: Source) -> Client:
    """What a request with `device`, `origin` and `remember` says of the client."""
    device = request.device
    return Client(
        device=Device(device.type, device.name, device.os, device.fingerprint),
        origin=origin_name(request.origin),
        remember=read(request, "remember"),
        source=source,
    )


def read_name(request: Any) -> PersonName:
    """The name in a request with `first_name`, `last_name` and `name`."""
    return PersonName(read(request, "first_name"), read(request, "last_name"), read(request, "name"))


def read_code(message: Any) -> Code | None:
    """The code in a message with a `code` oneof, whether it says of which factor or not."""
    match message.WhichOneof("code"):
        case None:
            return None
        case "totp":
            return Code(message.totp, FactorType.TOTP)
        case "email_code":
            return Code(message.email_code, FactorType.EMAIL_OTP)
        case "recovery_code":
            return Code(message.recovery_code, FactorType.RECOVERY_CODE)
        case _:
            return Code(message.otp)


def read_attributes(struct: Struct, *, field: str = "attributes") -> dict[str, object]:
    """A Struct as plain values. Raises InvalidRequest for a number that JSON does not know."""
    return {key: _plain(value, field) for key, value in struct.fields.items()}


def _plain(value: Value, field: str) -> object:
    match value.WhichOneof("kind"):
        case "struct_value":
            return read_attributes(value.struct_value, field=field)
        case "list_value":
            return [_plain(item, field) for item in value.list_value.values]
        case "number_value" if not math.isfinite(value.number_value):
            raise InvalidRequest("A number must be finite.", field=field)
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def read_hours(week: Iterable[pb.OpeningHours]) -> tuple[OpeningHours, ...]:
    """Opening hours as values."""
    return tuple(
        OpeningHours(day.day_of_week, read(day, "open_time"), read(day, "close_time"), day.is_closed) for day in week
    )


def read_status(status: pb.AccountStatus.ValueType) -> AccountStatus | None:
    """The status that a filter asks for; None for any."""
    return next((known for known, value in _STATUS.items() if value == status), None)


def origin_name(origin: pb.Origin.ValueType) -> str:
    """The stored word of an origin; empty where the client did not say."""
    return "" if not origin else pb.Origin.Name(origin).removeprefix(_ORIGIN_PREFIX).lower()


# To the wire.


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A Timestamp; None where there is no such moment."""
    if moment is None:
        return None
    # A third of the price of `FromDatetime`, and an answer has a dozen of these.
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def duration(value: timedelta) -> Duration:
    """A Duration."""
    result = Duration()
    result.FromTimedelta(value)
    return result


def account(value: Account, *, to_itself: bool, failed_attempts: int | None = None) -> pb.Account:
    """An account as administrators may see it, or `to_itself` its owner; nothing of its password (AZ-04).

    When and from where somebody signs in, an administrator learns of sessions in their tenant and of no others (Z-01).
    """
    return pb.Account(
        id=str(value.id),
        number=value.number,
        email=value.email,
        phone=value.phone,
        first_name=value.first_name,
        last_name=value.last_name,
        name=value.name,
        locale=value.locale,
        avatar_url=value.avatar_url,
        status=_STATUS[value.status],
        email_verified_at=timestamp(value.email_verified_at),
        require_password_change=value.require_password_change,
        two_factor_enabled=value.two_factor_enabled,
        provider=value.provider,
        provider_uid=value.provider_uid,
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
        sign_ins=_sign_ins(value) if to_itself else None,
        failed_attempts=failed_attempts,
        locked_at=timestamp(value.locked_at) if to_itself else None,
    )


def _sign_ins(value: Account) -> pb.SignIns:
    return pb.SignIns(
        count=value.sign_in_count,
        current_at=timestamp(value.current_sign_in_at),
        last_at=timestamp(value.last_sign_in_at),
        current_ip=value.current_sign_in_ip,
        last_ip=value.last_sign_in_ip,
    )


def tenant(value: Tenant | None) -> pb.Tenant | None:
    """A tenant; None where there is none."""
    if value is None:
        return None
    rest: dict[str, Any] = dict(value.attributes)
    hours = _hours(rest.pop("opening_hours", []))
    attributes = Struct()
    attributes.update(rest)
    return pb.Tenant(
        id=str(value.id),
        number=value.number,
        slug=value.slug,
        name=value.name,
        kind=value.kind,
        contact=pb.Contact(email=value.email, phone=value.phone, address=value.address),
        opening_hours=hours,
        attributes=attributes,
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
    )


def _hours(week: Any) -> list[pb.OpeningHours]:
    try:
        return [pb.OpeningHours(**day) for day in week]
    except (TypeError, ValueError):
        # Something else of this name, from when attributes were let in unchecked: no reason to refuse every member.
        return []


def role(value: Role | None, key: str = "") -> pb.Role:
    """A role with its permission matrix; of one that is gone, the key alone."""
    if value is None:
        return pb.Role(key=key)
    return pb.Role(
        key=value.key,
        number=value.number,
        name=value.name,
        level=value.level,
        permissions={resource: pb.ActionSet(actions=actions) for resource, actions in value.permissions.items()},
        mfa_required=value.requires_mfa,
        self_registration=value.self_register,
        tenant_kind=value.creates_tenant,
        built_in=value.built_in,
    )


def membership(value: Membership | None, owner: Account, of: Role | None) -> pb.Membership | None:
    """A membership with its role; without one, the role that the account has outside of any tenant."""
    if value is None:
        if not owner.role:
            return None
        return pb.Membership(account_id=str(owner.id), number=owner.number, role=role(of, owner.role))
    return pb.Membership(
        account_id=str(value.account_id),
        tenant_id=str(value.tenant_id),
        number=value.number,
        role=role(of, value.role),
        department_id=value.department_id,
        team_ids=value.team_ids,
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
    )


def session(value: Session, *, current: bool = False) -> pb.Session:
    """A session as its owner may see it."""
    device = value.device
    return pb.Session(
        id=str(value.id),
        number=value.number,
        account_id=str(value.account_id),
        tenant_id=str(value.tenant_id) if value.tenant_id else None,
        device=pb.Device(
            type=device.type or None,
            name=device.name or None,
            os=device.os or None,
            fingerprint=device.fingerprint or None,
        ),
        origin=pb.Origin.Value(_ORIGIN_PREFIX + (value.origin.upper() or "UNSPECIFIED")),
        user_agent=value.user_agent or None,
        ip=value.ip,
        amr=value.amr,
        remembered=value.remembered,
        current=current,
        restricted=value.scope is not None,
        created_at=timestamp(value.authenticated_at),
        authenticated_at=timestamp(value.authenticated_at),
        last_used_at=timestamp(value.refreshed_at or value.authenticated_at),
        idle_expires_at=timestamp(value.idle_expires_at),
        expires_at=timestamp(value.expires_at),
    )


def tokens(value: Tokens) -> pb.SessionTokens:
    """The tokens of a session."""
    return pb.SessionTokens(
        access_token=value.access_token,
        token_type="Bearer",
        access_expires_at=timestamp(value.access_expires_at),
        refresh_token=value.refresh_token,
        refresh_expires_at=timestamp(value.refresh_expires_at),
    )


def place(value: Place) -> dict[str, Any]:
    """The account, tenant, membership and session that several messages have alike."""
    return {
        "account": account(value.account, to_itself=value.session.scope is None),
        "tenant": tenant(value.tenant),
        "membership": membership(value.membership, value.account, value.role),
        "session": session(value.session, current=True),
    }


def login_result(value: LoginResult) -> dict[str, Any]:
    """The one field of `result` that says how far a sign-in got."""
    match value:
        case MfaChallenge():
            factors = [_FACTOR[kind] for kind in value.factors]
            expires_at = timestamp(value.expires_at)
            challenge = pb.MfaChallenge(
                challenge_token=value.token, expires_at=expires_at, factors=factors, code_sent=value.code_sent
            )
            return {"mfa_challenge": challenge}
        case TenantChoice():
            options = [
                pb.TenantOption(
                    id=str(place.id), slug=place.slug, name=place.name, role_name=of.name if of else member.role
                )
                for place, member, of in value.places
            ]
            expires_at = timestamp(value.expires_at)
            choice = pb.TenantChoice(challenge_token=value.token, expires_at=expires_at, tenants=options)
            return {"tenant_choice": choice}
        case SignedIn() if value.place.session.scope is not None:
            return {"password_change": password_change(value)}
        case SignedIn():
            return {"session": session_result(value)}


def factor_type(kind: FactorType) -> pb.FactorType.ValueType:
    """The contract's word for a kind of factor."""
    return _FACTOR[kind]


def session_result(value: SignedIn) -> pb.SessionResult:
    """A finished sign-in."""
    return pb.SessionResult(tokens=tokens(value.tokens), device_token=value.device_token, **place(value.place))


def password_change(value: SignedIn) -> pb.PasswordChange:
    """A sign-in that can only change the password."""
    return pb.PasswordChange(tokens=tokens(value.tokens), **place(value.place))
