"""Plays: sequences of calls of any RPCs, drawn as numbers and filled from what the calls before have given.

A move is an RPC and some bytes. Which address, token or id a field gets is decided by the next byte, out of what the
play has in mind for such a field, the newest first. So the same moves make the same calls wherever they are played, as
long as the answers are the same (P-04), and any token comes to stand in any place (P-03).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyotp
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tests.e2e.contract import methods, name_of

from identity_pb.v1 import access_pb2

RPCS: dict[str, MethodDescriptor] = {name_of(method): method for method in methods()}
STREAMS = {name for name, method in RPCS.items() if method.server_streaming}
WRONG = "a wrong pass phrase of a play"
UNKNOWN = "00000000-0000-7000-8000-000000000000"
NAMES = ["Ada", "Émile Zola", "zoë", "A_b%c", "Ω", "x" * 100]

# What a field of a message is called in the mind of a play.
LEARNED = {
    "SessionTokens.access_token": "access",
    "SessionTokens.refresh_token": "refresh",
    "SessionResult.device_token": "device token",
    "MfaChallenge.challenge_token": "challenge",
    "TenantChoice.challenge_token": "choice",
    "BeginTotpEnrollmentResponse.enrollment_token": "enrolment",
    "RequestPasswordResetResponse.reset_token": "reset",
    "Account.id": "account",
    "Session.id": "session",
    "Tenant.id": "tenant",
    "Tenant.slug": "slug",
    "Invite.id": "invite id",
    "Factor.id": "factor",
    "PushDevice.id": "push device",
    "Role.key": "role",
    "ListSessionsResponse.next_page_token": "page",
    "ListInvitesResponse.next_page_token": "page",
    "ListAccountsResponse.next_page_token": "page",
}
# Which of them stands in a field of a request; for the others, what `FIELDS` says.
WANTED = {
    "VerifyEmailRequest.token": "verify",
    "ValidatePasswordResetRequest.token": "reset",
    "ResetPasswordRequest.token": "reset",
    "UnlockAccountRequest.token": "unlock",
    "ValidateInviteRequest.token": "invite",
    "AcceptInviteRequest.token": "invite",
    "DeclineInviteRequest.token": "invite",
    "IntrospectTokenRequest.token": "access",
    "VerifyOtpRequest.challenge_token": "challenge",
    "SendOtpRequest.challenge_token": "challenge",
    "SelectTenantRequest.challenge_token": "choice",
    "ConfirmTotpEnrollmentRequest.enrollment_token": "enrolment",
    "LoginRequest.device_token": "device token",
    "OtpCredentials.device_token": "device token",
    "GetAccountRequest.id": "account",
    "UpdateAccountRequest.id": "account",
    "SetAccountStatusRequest.id": "account",
    "DeleteAccountRequest.id": "account",
    "ListSessionsRequest.account_id": "account",
    "RevokeSessionsRequest.account_id": "account",
    "RevokeSessionRequest.id": "session",
    "GetInviteRequest.id": "invite id",
    "ResendInviteRequest.id": "invite id",
    "RevokeInviteRequest.id": "invite id",
    "RemoveFactorRequest.id": "factor",
    "RemovePushDeviceRequest.id": "push device",
}
BY_NAME = {
    "refresh_token": "refresh",
    "tenant_id": "tenant",
    "tenant_slug": "slug",
    "role": "role",
    "page_token": "page",
}
SECRETS = ("verify", "reset", "unlock", "invite", "challenge", "choice", "enrolment", "refresh", "device token")


@dataclass(frozen=True)
class Move:
    """An RPC, or the name of something else that happens, and the bytes that decide the rest."""

    name: str
    draws: bytes


class Draws:
    """The bytes of a move, one decision after the other; afterwards it is always the first choice."""

    def __init__(self, draws: bytes) -> None:
        self._draws: Iterator[int] = iter(draws)

    def below(self, number: int) -> int:
        return next(self._draws, 0) % number

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def newest(self, things: list[str]) -> str:
        """Most of the time the newest."""
        return things[-1] if not self.chance(40) else things[-1 - self.below(len(things))]


@dataclass
class Mind:
    """What a play has learned so far, by kind; and who has which password, app and codes."""

    known: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    passwords: dict[str, str] = field(default_factory=dict)
    apps: dict[str, str] = field(default_factory=dict)
    codes: dict[str, list[str]] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)
    """By access token, the address of its account."""
    _holders: dict[str, str] = field(default_factory=dict)

    def learn(self, kind: str, value: str) -> None:
        """The newest comes last."""
        if value:
            if value in self.known[kind]:
                self.known[kind].remove(value)
            self.known[kind].append(value)

    def listen(self, answer: Message) -> None:
        """Everything that an answer gives to go on with."""
        for message in messages_in(answer):
            for each, value in message.ListFields():
                if (kind := LEARNED.get(f"{message.DESCRIPTOR.name}.{each.name}")) is not None:
                    self.learn(kind, value)
            given: Any = message
            if message.DESCRIPTOR.name in ("SessionResult", "PasswordChange"):
                self._holders[given.session.id] = given.account.email
                self.bearers[given.tokens.access_token] = given.account.email
            elif message.DESCRIPTOR.name == "RefreshSessionResponse":
                self.bearers[given.tokens.access_token] = self._holders[given.session_id]


def messages_in(message: Message) -> Iterator[Message]:
    """A message and all that it holds."""
    yield message
    for each, value in message.ListFields():
        if each.message_type is None:
            continue
        if each.message_type.GetOptions().map_entry:
            continue
        for inner in value if each.is_repeated else [value]:
            yield from messages_in(inner)


@dataclass
class Play:
    """Makes calls of moves. `serial`, such as `q7q`, sets its people apart from those of every other play."""

    mind: Mind
    clock: Callable[[], datetime]
    serial: str
    service_key: str = ""
    _passwords: int = 0

    def bearer(self, rpc: str, draws: Draws) -> str:
        """Who calls: nobody where anybody may, mostly, else the holder of some access token."""
        access = RPCS[rpc].GetOptions().Extensions[access_pb2.access]
        if access == access_pb2.ACCESS_SERVICE:
            return self.service_key
        held = self.mind.known["access"]
        may_be_nobody = access in (access_pb2.ACCESS_PUBLIC, access_pb2.ACCESS_CHALLENGE)
        if not held or draws.chance(70 if may_be_nobody else 3):
            return ""
        return draws.newest(held)

    def request(self, rpc: str, bearer: str, draws: Draws) -> Message:
        return self._fill(RPCS[rpc].input_type, self.mind.bearers.get(bearer, ""), draws)

    def _fill(self, descriptor: Descriptor, actor: str, draws: Draws) -> Message:
        message = GetMessageClass(descriptor)()
        chosen = {oneof.name: oneof.fields[draws.below(len(oneof.fields))].name for oneof in real_oneofs(descriptor)}
        for each in descriptor.fields:
            oneof = each.containing_oneof
            if oneof is not None and oneof.name in chosen and chosen[oneof.name] != each.name:
                continue
            if each.has_presence and not (oneof and oneof.name in chosen) and is_optional(each) and draws.chance(60):
                continue
            self._set(message, each, actor, draws)
        return message

    def _set(self, message: Message, each: FieldDescriptor, actor: str, draws: Draws) -> None:
        path = f"{message.DESCRIPTOR.name}.{each.name}"
        target: Any = message
        if each.name == "update_mask":
            allowed = [one.name for one in target.DESCRIPTOR.fields_by_name["changes"].message_type.fields]
            target.update_mask.paths.append(allowed[draws.below(len(allowed))])
        elif each.name == "attributes":
            target.attributes.update({"chairs": draws.below(5)})
        elif each.name == "permissions":
            resource = ["accounts", "invites", "reports"][draws.below(3)]
            target.permissions[resource].actions["view"] = draws.chance(70)
        elif each.is_repeated:
            self._repeat(target, each, actor, draws)
        elif each.message_type is not None:
            getattr(target, each.name).CopyFrom(self._fill(each.message_type, actor, draws))
        elif each.enum_type is not None:
            setattr(target, each.name, draws.below(len(each.enum_type.values)))
        elif each.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            setattr(target, each.name, self._text(path, each.name, message, actor, draws))
        elif each.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            setattr(target, each.name, not draws.chance(40))
        else:
            setattr(target, each.name, draws.below({"level": 101, "day_of_week": 7}.get(each.name, 4)))

    def _repeat(self, target: Any, each: FieldDescriptor, actor: str, draws: Draws) -> None:
        if draws.chance(50):
            return
        if each.message_type is not None:
            getattr(target, each.name).append(self._fill(each.message_type, actor, draws))
        else:
            getattr(target, each.name).append(f"{each.name[:4]}{draws.below(3)}")

    def _text(self, path: str, name: str, message: Message, actor: str, draws: Draws) -> str:
        if (kind := WANTED.get(path)) is not None:
            return self._known(kind, draws)
        match name:
            case "email" | "identifier":
                return draws.newest(self.mind.known["email"])
            case "password" if message.DESCRIPTOR.name in ("LoginRequest", "OtpCredentials"):
                given: Any = message
                return WRONG if draws.chance(10) else self.mind.passwords.get(given.identifier, WRONG)
            case "current_password":
                whose = getattr(message, "identifier", "") or actor
                return WRONG if draws.chance(10) else self.mind.passwords.get(whose, WRONG)
            case "password" | "new_password":
                self._passwords += 1
                return "short" if draws.chance(5) else f"pass phrase {self._passwords} of the play"
            case "code" | "totp" | "email_code" | "otp" | "recovery_code":
                return self._code(name, message, actor, draws)
            case "tenant_name":
                return f"Place {self.serial} {draws.below(3)}"
            case "token" | "push_token":
                return f"push token {draws.below(3)} of {self.serial}"
            case "phone":
                return f"+3247{int(self.serial.strip('q')) * 10 + draws.below(10):07}"
        return self._known(BY_NAME[name], draws) if name in BY_NAME else constant(name, draws)

    def _known(self, kind: str, draws: Draws) -> str:
        """Something of this kind; now and then a secret of another kind, or nothing that is known."""
        if kind in SECRETS and draws.chance(25):
            kind = SECRETS[draws.below(len(SECRETS))]
        held = self.mind.known[kind]
        return draws.newest(held) if held else {"role": "user", "slug": "nowhere", "page": ""}.get(kind, UNKNOWN)

    def _code(self, name: str, message: Message, actor: str, draws: Draws) -> str:
        whose = actor if actor in self.mind.apps or draws.chance(30) else draws.newest(self.mind.known["email"])
        if name == "recovery_code":
            codes = self.mind.codes.get(whose, [])
            return codes[draws.below(len(codes))] if codes else "aaaa-bbbb-cccc-dddd"
        if name in ("email_code", "otp") and (mailed := self.mind.known[f"code of {whose}"]):
            return draws.newest(mailed)
        pending = self.mind.known[f"seed of {actor}"] if name == "code" else []
        seed = pending[-1] if pending else self.mind.apps.get(whose)
        return pyotp.TOTP(seed).at(self.clock(), counter_offset=draws.below(2)) if seed else "123456"


def constant(name: str, draws: Draws) -> str:
    """A value that needs no memory."""
    if name in ("first_name", "last_name", "name", "query", "label"):
        return NAMES[draws.below(len(NAMES))]
    values = {
        "locale": "en",
        "phone_country": "BE",
        "avatar_url": "https://example.org/a.png",
        "key": "clerk",
        "tenant_kind": "salon",
        "department_id": "d1",
        "bootstrap_secret": "",
        "open_time": "08:00",
        "close_time": "18:00",
        "cursor": "r1-0",
    }
    return values.get(name, f"{name} {draws.below(3)}")


def real_oneofs(descriptor: Descriptor) -> list[Any]:
    """Those that the contract wrote, not those that stand for `optional`."""
    return [oneof for oneof in descriptor.oneofs if not oneof.name.startswith("_")]


def is_optional(each: FieldDescriptor) -> bool:
    """Whether a request may go without: what is required has a rule that says so."""
    return each.message_type is None or each.name in ("device", "contact", "second_factor", "attributes")
