"""The contract keeps its own rules: access, bindings, documented errors, redaction, validation, seed coverage.

Everything here reads the committed descriptor image and stubs, and nothing of the service.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.api.annotations_pb2  # noqa: F401  # makes the http option readable
import grpc
import protovalidate
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

ROOT = Path(__file__).resolve().parents[1]
IMAGE = (ROOT / "generated/descriptors.binpb").read_bytes()
PACKAGE = "identity.v1"

Descriptor = Any  # The runtime's descriptors of a pool of our own; their stubs do not know extensions.

# GET and DELETE bind what is not in the path from the query, where a secret would be logged.
SECRETS_IN_QUERY = {
    "ValidatePasswordResetRequest.token",  # Z-26: the tenant document's links; the same RPC has a POST form.
    "ValidateInviteRequest.token",  # Z-26
    "RemovePushDeviceRequest.token",  # Refused by a rule: the path names the device by id, and only one may.
}
SECRET_NAME = re.compile(r"password|token|secret|otp|recovery_code|^code$|email_code|qr_code|credential")
NO_SECRETS = {"page_token", "next_page_token", "token_type", "token_id"}
NEVER_FIELDS = {"password_digest", "password_hash", "unlock_token", "otp_secret", "temporary_password", "digest"}
ERROR_LINE = re.compile(r"   - ([A-Z_]+) \(([A-Z_]+)\): (.+)")


def _pool() -> tuple[descriptor_pool.DescriptorPool, Any]:
    """The image's descriptors, and the image parsed so that every option is readable."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(IMAGE).file:
        pool.AddSerializedFile(file.SerializeToString())
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet"))
    return pool, cls.FromString(IMAGE)


POOL, SET = _pool()
OURS = [file for file in SET.file if file.package == PACKAGE]
ACCESS, SCOPE, PERMISSION = (POOL.FindExtensionByName(f"{PACKAGE}.{n}") for n in ("access", "scope", "permission"))
HTTP = POOL.FindExtensionByName("google.api.http")
RULES = POOL.FindExtensionByName("buf.validate.field")


@dataclass(frozen=True)
class Rpc:
    """One RPC, with its options, bindings and comment."""

    service: str
    name: str
    file: Any
    proto: Any
    comment: str

    @property
    def access(self) -> str:
        values = POOL.FindEnumTypeByName(f"{PACKAGE}.Access").values_by_number
        return str(values[self.proto.options.Extensions[ACCESS]].name)

    @property
    def scope(self) -> str:
        return str(self.proto.options.Extensions[SCOPE])

    @property
    def permission(self) -> str:
        return str(self.proto.options.Extensions[PERMISSION])

    @property
    def request(self) -> Descriptor:
        return POOL.FindMessageTypeByName(self.proto.input_type.lstrip("."))

    @property
    def response(self) -> Descriptor:
        return POOL.FindMessageTypeByName(self.proto.output_type.lstrip("."))

    def bindings(self) -> Iterator[tuple[str, str, str]]:
        """Each (method, path template, body)."""
        first = self.proto.options.Extensions[HTTP]
        for rule in [first, *first.additional_bindings]:
            verb = rule.WhichOneof("pattern")
            if verb:
                yield verb.upper(), getattr(rule, verb), rule.body

    def errors(self) -> list[tuple[str, str]]:
        """Each (reason, gRPC code) of the list that ends the comment; a wrapped line is indented further."""
        _, found, text = self.comment.partition("\n Errors:\n")
        assert found, f"{self} lists no errors"
        entries = []
        for line in text.rstrip("\n").split("\n"):
            if match := ERROR_LINE.fullmatch(line):
                entries.append((match[1], match[2]))
            else:
                assert line.startswith("     ") and entries, f"{self}: the list of errors does not end the comment"
        return entries

    def __str__(self) -> str:
        return f"{self.service}.{self.name}"


def _comments(file: Any) -> dict[tuple[int, ...], str]:
    return {tuple(at.path): at.leading_comments for at in file.source_code_info.location}


def _rpcs() -> Iterator[Rpc]:
    for file in OURS:
        comments = _comments(file)
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                yield Rpc(service.name, method.name, file, method, comments.get((6, s, 2, m), ""))


RPCS = list(_rpcs())
each_rpc = pytest.mark.parametrize("rpc", RPCS, ids=str)


def _nested(descriptor: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    """A message and every message of the contract that it can hold."""
    if descriptor.full_name in seen or not descriptor.full_name.startswith(f"{PACKAGE}."):
        return
    seen.add(descriptor.full_name)
    yield descriptor
    for field in descriptor.fields:
        if field.message_type:
            yield from _nested(field.message_type, seen)


def _fields(*roots: Descriptor) -> list[Descriptor]:
    """Every field that the messages can hold, entries of maps included."""
    seen: set[str] = set()
    return [field for root in roots for message in _nested(root, seen) for field in message.fields]


def _options(descriptor: Descriptor) -> Any:
    """A descriptor's options with every extension readable."""
    raw = descriptor.GetOptions()
    cls = message_factory.GetMessageClass(POOL.FindMessageTypeByName(raw.DESCRIPTOR.full_name))
    return cls.FromString(raw.SerializeToString())


def _name(field: Descriptor) -> str:
    return f"{field.containing_type.name}.{field.name}"


def _is_text(field: Descriptor) -> bool:
    return bool(field.type in (field.TYPE_STRING, field.TYPE_BYTES))


def _stub(descriptor: Descriptor) -> type[Message]:
    module = descriptor.file.name.removesuffix(".proto").replace("identity/", "identity_pb/", 1).replace("/", ".")
    found: type[Message] = getattr(importlib.import_module(f"{module}_pb2"), descriptor.name)
    return found


# Who may call, and how over HTTP.


@each_rpc
def test_every_rpc_says_who_may_call_it(rpc: Rpc) -> None:
    """AZ-01: a method without the option would stop the boot; scope and permission stand where they mean something."""
    word = re.compile(r"[a-z]+:[a-z]+")

    assert rpc.access != "ACCESS_UNSPECIFIED"
    assert not rpc.scope or word.fullmatch(rpc.scope)
    assert not rpc.permission or word.fullmatch(rpc.permission)
    assert (rpc.access == "ACCESS_SERVICE") <= bool(rpc.scope)
    assert (rpc.access == "ACCESS_ADMIN") <= bool(rpc.permission)
    assert not rpc.scope or rpc.access in {"ACCESS_SERVICE", "ACCESS_PUBLIC"}
    assert not rpc.permission or rpc.access in {"ACCESS_ADMIN", "ACCESS_CALLER"}


@each_rpc
def test_every_rpc_has_a_plain_http_binding(rpc: Rpc) -> None:
    """Only forms that both REST doors answer alike."""
    bindings = list(rpc.bindings())

    assert bindings
    for verb, path, body in bindings:
        assert re.fullmatch(r"(/\.well-known/jwks\.json|/v1(/[a-zA-Z]+|/\{[a-z_]+\})+(:[a-zA-Z]+)?)", path)
        assert body == ("" if verb in {"GET", "DELETE"} else "*")
        for variable in re.findall(r"\{(\w+)\}", path):
            assert _is_text(rpc.request.fields_by_name[variable])


def test_no_two_bindings_share_method_and_path() -> None:
    """Envoy would start and answer 404 for both."""
    seen = [(verb, re.sub(r"\{\w+\}", "{}", path)) for rpc in RPCS for verb, path, _ in rpc.bindings()]

    assert sorted(set(seen)) == sorted(seen)


def test_secrets_stay_out_of_queries() -> None:
    """What GET and DELETE read from a query holds no secret, but for the exceptions that are listed with a reason."""
    readers = [rpc for rpc in RPCS if any(verb in {"GET", "DELETE"} for verb, _, _ in rpc.bindings())]
    found = {_name(f) for f in _fields(*(rpc.request for rpc in readers)) if _options(f).debug_redact}

    assert found == SECRETS_IN_QUERY


def test_only_the_watch_streams() -> None:
    """No client streaming anywhere: a stream of requests would hold a servicer for as long as a client likes."""
    assert [str(rpc) for rpc in RPCS if rpc.proto.client_streaming] == []
    assert [str(rpc) for rpc in RPCS if rpc.proto.server_streaming] == ["SessionService.WatchRevocations"]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_messages_of_rpcs_stand_in_rpc_order(file: Any) -> None:
    """Each RPC has its own request and response, in its file, in the order of the RPCs, never shared."""
    methods = [method for service in file.service for method in service.method]
    wanted = [f"{method.name}{suffix}" for method in methods for suffix in ("Request", "Response")]
    declared = [message.name for message in file.message_type if message.name.endswith(("Request", "Response"))]

    assert declared == wanted
    for method in methods:
        assert method.input_type == f".{PACKAGE}.{method.name}Request"
        assert method.output_type == f".{PACKAGE}.{method.name}Response"


# Comments and reasons.


def _commented(file: Any) -> Iterator[tuple[str, str]]:
    """Each (name, comment) of a file: services, RPCs, messages, fields, enums, values and options."""
    comments = _comments(file)
    for i, extension in enumerate(file.extension):
        yield extension.name, comments.get((7, i), "")
    for i, message in enumerate(file.message_type):
        yield message.name, comments.get((4, i), "")
        for j, field in enumerate(message.field):
            yield field.name, comments.get((4, i, 2, j), "")
    for i, enum in enumerate(file.enum_type):
        yield enum.name, comments.get((5, i), "")
        for j, value in enumerate(enum.value):
            yield value.name, comments.get((5, i, 2, j), "")
    for i, service in enumerate(file.service):
        yield service.name, comments.get((6, i), "")
        for j, method in enumerate(service.method):
            yield method.name, comments.get((6, i, 2, j), "")


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_comments_start_with_the_name(file: Any) -> None:
    """A comment that was pasted from a neighbour shows."""
    assert [name for name, comment in _commented(file) if not re.match(rf" {name}\b", comment)] == []


def _reasons() -> dict[str, str]:
    """Each reason, without its prefix, and its comment."""
    (file,) = (file for file in OURS if file.name.endswith("error_reason.proto"))
    comments = _comments(file)
    values = enumerate(file.enum_type[0].value)
    return {value.name.removeprefix("ERROR_REASON_"): comments[5, 0, 2, i] for i, value in values if value.number}


REASONS = _reasons()


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_name_one_code_and_show_an_example(reason: str) -> None:
    """A reason maps to one gRPC code, and its example is what ErrorInfo holds."""
    (code,) = re.findall(r"gRPC code: (\w+)\.\n", REASONS[reason])
    (example,) = re.findall(r"Example: (\{.*\})\n", REASONS[reason])
    info = json.loads(example)

    assert code in grpc.StatusCode.__members__
    assert (info["reason"], info["domain"]) == (reason, PACKAGE)
    assert re.fullmatch(r"[A-Z][A-Z_]{0,61}[A-Z]", reason)
    assert all(isinstance(value, str) for value in info["metadata"].values())


@each_rpc
def test_rpcs_list_reasons_that_exist(rpc: Rpc) -> None:
    """The list ends the comment; each reason exists and comes with the code that the reason itself names."""
    errors = rpc.errors()

    assert errors
    assert len(dict(errors)) == len(errors)
    for reason, code in errors:
        assert f"gRPC code: {code}." in REASONS[reason]


def test_every_reason_is_given_by_something() -> None:
    """A reason that nothing mentions is left over."""
    said = "\n".join(comment for file in OURS for name, comment in _commented(file) if "ERROR_REASON" not in name)

    assert [reason for reason in REASONS if not re.search(rf"\b{reason}\b", said)] == []


def test_error_details_are_in_the_image() -> None:
    """Whoever only has the image can read the details of an error."""
    for name in ("ErrorInfo", "BadRequest", "RetryInfo"):
        assert POOL.FindMessageTypeByName(f"google.rpc.{name}")


# Secrets.


def test_secret_fields_are_redacted() -> None:
    """A field whose name looks like a secret carries debug_redact, so that tools can find it."""
    texts = [field for field in _fields(*(m for rpc in RPCS for m in (rpc.request, rpc.response))) if _is_text(field)]
    named = {_name(field) for field in texts if SECRET_NAME.search(field.name) and field.name not in NO_SECRETS}
    redacted = {_name(field) for field in texts if _options(field).debug_redact}

    assert redacted == named


def test_what_must_never_travel_has_no_field() -> None:
    """AZ-04, Z-01: no digest or unlock token anywhere, and nothing that answers carries a password (RC-09)."""
    (account,) = (m for file in OURS for m in file.message_type if m.name == "Account")
    everywhere = {field.name for file in OURS for message in file.message_type for field in message.field}
    answered = [field for field in _fields(*(rpc.response for rpc in RPCS)) if _is_text(field)]

    assert {"password_digest", "unlock_token"} <= set(account.reserved_name)
    assert everywhere & NEVER_FIELDS == set()
    assert [_name(field) for field in answered if "password" in field.name] == []


# Validation.


def _scalar(field: Descriptor) -> Any:
    if _is_text(field):
        return b"x" if field.type == field.TYPE_BYTES else "x"
    return True if field.type == field.TYPE_BOOL else 1


def _filled(descriptor: Descriptor) -> Message:
    """A message with something in every field, so that every rule runs."""
    message = _stub(descriptor)()
    for field in descriptor.fields:
        target = getattr(message, field.name)
        nested = field.message_type
        if nested and nested.GetOptions().map_entry:
            value = nested.fields_by_name["value"]
            if value.message_type:
                target["x"].CopyFrom(_filled(value.message_type))
            else:
                target["x"] = _scalar(value)
        elif nested:
            inner = _filled(nested) if nested.file.package == PACKAGE else type(target)()
            target.append(inner) if field.is_repeated else target.CopyFrom(inner)
        elif field.is_repeated:
            target.append(_scalar(field))
        else:
            setattr(message, field.name, _scalar(field))
    return message


@each_rpc
def test_rules_compile(rpc: Rpc) -> None:
    """A rule that does not compile would only show at the first call."""
    for message in (_stub(rpc.request)(), _filled(rpc.request)):
        protovalidate.collect_violations(message)


def _rules(field: Descriptor) -> Any:
    """A field's rules; the key of a map's entry has those that the map gives to keys."""
    entry = field.containing_type
    if not entry.GetOptions().map_entry:
        return _options(field).Extensions[RULES]
    (owner,) = (found for found in REQUEST_FIELDS if found.message_type == entry)
    return getattr(_options(owner).Extensions[RULES].map, "keys" if field.name == "key" else "values")


REQUEST_FIELDS = _fields(*(rpc.request for rpc in RPCS))


@pytest.mark.parametrize("field", REQUEST_FIELDS, ids=_name)
def test_what_comes_in_is_bounded(field: Descriptor) -> None:
    """Every text, list, map, enum and page size of a request has a rule that bounds it."""
    rules = _rules(field)
    if field.is_repeated:
        assert rules.repeated.max_items or rules.map.max_pairs
        rules = rules.repeated.items
    if field.type == field.TYPE_STRING:
        text = rules.string
        closed = re.fullmatch(r"\^(?!.*[+*]).*\$", text.pattern)
        assert text.max_len or text.max_bytes or text.uuid or getattr(text, "in") or closed
    if field.type == field.TYPE_ENUM:
        assert rules.enum.defined_only
    if field.name == "page_size":
        assert rules.uint32.lte == 100


def _violations(message: str, **fields: Any) -> set[str]:
    """The fields at fault, "" for the message as a whole."""
    stub = _stub(POOL.FindMessageTypeByName(f"{PACKAGE}.{message}"))
    found = protovalidate.collect_violations(stub(**fields))
    return {v.proto.field.elements[0].field_name if v.proto.field else "" for v in found}


LOGIN = {"identifier": "ada@example.com", "password": "p"}
SETUP = {"email": "ada@example.com", "password": "p", "tenant_name": "Salon"}
SUNDAY = {"day_of_week": 0, "is_closed": True}
MONDAY = {"day_of_week": 1, "open_time": "09:00", "close_time": "18:00"}
MASKED = {"id": "58356bc8-0639-4289-88e8-f64b7ca54501", "changes": {}}


@pytest.mark.parametrize(
    ("message", "fields", "wrong"),
    [
        ("LoginRequest", LOGIN, set()),
        ("LoginRequest", {}, {"identifier", "password"}),
        ("LoginRequest", LOGIN | {"password": "é" * 128}, set()),
        ("LoginRequest", LOGIN | {"password": "é" * 129}, {"password"}),
        ("LoginRequest", LOGIN | {"password": "😀" * 128}, set()),
        ("LoginRequest", LOGIN | {"identifier": "é" * 128}, {"identifier"}),
        ("LoginRequest", LOGIN | {"origin": 99, "locale": "de"}, {"origin", "locale"}),
        ("LoginRequest", LOGIN | {"phone_country": "fr"}, {"phone_country"}),
        ("LoginRequest", LOGIN | {"device": {"fingerprint": "x" * 257}}, {"device"}),
        ("RegisterRequest", {"password": "p"}, {""}),
        ("RegisterRequest", {"password": "p", "phone": "06 12 34 56 78", "phone_country": "FR"}, set()),
        ("RegisterRequest", {"password": "p", "email": "a@x,b@y"}, {"email"}),
        ("RegisterRequest", {"password": "p", "email": "a@x\r\nBcc: b@y"}, {"email"}),
        ("VerifyOtpRequest", {"challenge_token": "c", "totp": "123456"}, set()),
        ("VerifyOtpRequest", {"challenge_token": "c", "totp": "12345"}, {"totp"}),
        ("VerifyOtpRequest", {"challenge_token": "c", "email_code": "123456\n"}, {"email_code"}),
        ("VerifyOtpRequest", {"challenge_token": "c", "totp": "１２３４５６"}, {"totp"}),
        ("VerifyOtpRequest", {"challenge_token": "c"}, {"code"}),
        ("VerifyOtpRequest", {"totp": "123456"}, {"challenge"}),
        ("RemovePushDeviceRequest", {}, {""}),
        ("RemovePushDeviceRequest", {"id": MASKED["id"], "token": "t"}, {""}),
        ("RegisterPushDeviceRequest", {"token": "t" * 513, "platform": 1}, {"token"}),
        ("RegisterPushDeviceRequest", {"token": "t"}, {"platform"}),
        ("SetupRequest", SETUP | {"opening_hours": [SUNDAY, MONDAY]}, set()),
        ("SetupRequest", SETUP | {"opening_hours": [{"is_closed": True}]}, {"opening_hours"}),
        ("SetupRequest", SETUP | {"opening_hours": [{"day_of_week": 7, "is_closed": True}]}, {"opening_hours"}),
        ("SetupRequest", SETUP | {"opening_hours": [MONDAY | {"open_time": "9:00"}]}, {"opening_hours"}),
        ("SetupRequest", SETUP | {"opening_hours": [{"day_of_week": 1}]}, {"opening_hours"}),
        ("SetupRequest", SETUP | {"opening_hours": [SUNDAY, SUNDAY]}, {"opening_hours"}),
        ("UpdateAccountRequest", MASKED | {"update_mask": {"paths": ["first_name", "team_ids"]}}, set()),
        ("UpdateAccountRequest", MASKED | {"update_mask": {"paths": []}}, {"update_mask"}),
        ("UpdateAccountRequest", MASKED | {"update_mask": {"paths": ["status"]}}, {"update_mask"}),
        ("UpdateTenantRequest", {"changes": {}, "update_mask": {"paths": ["contact.email"]}}, {"update_mask"}),
        ("ListSessionsRequest", {"page_size": 101}, {"page_size"}),
    ],
)
def test_rules_say_what_is_wrong(message: str, fields: dict[str, Any], wrong: set[str]) -> None:
    """OT-03, LG-05, PW-02 and the like, as the contract alone decides them."""
    assert _violations(message, **fields) == wrong


def test_avatars_are_no_scripts() -> None:
    """An avatar is an https address or a path of the product, never another scheme or host-relative address."""
    for url, wrong in {
        "https://x/y.png": set(),
        "/uploads/a.jpg": set(),
        "javascript:x": {"changes"},
        "//x": {"changes"},
        "/\\x": {"changes"},
    }.items():
        masked = MASKED | {"changes": {"avatar_url": url}, "update_mask": {"paths": ["avatar_url"]}}
        assert _violations("UpdateAccountRequest", **masked) == wrong


# Stubs.


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_stubs_are_those_of_the_image(file: Any) -> None:
    """The committed stubs and the committed image are two sides of one contract."""
    module = file.name.removesuffix(".proto").replace("identity/", "identity_pb/", 1).replace("/", ".")
    stub = descriptor_pb2.FileDescriptorProto()
    importlib.import_module(f"{module}_pb2").DESCRIPTOR.CopyToProto(stub)
    image = descriptor_pb2.FileDescriptorProto.FromString(file.SerializeToString())

    assert stub.message_type == image.message_type
    assert stub.enum_type == image.enum_type
    assert stub.service == image.service


# Seed coverage.

SEEDS = {
    "merchant": """
        POST /auth/register: lang email password firstName lastName role companyName associationName origin
          phoneNumber phoneNumberCountry success status
        POST /auth/login/manager: email password origin success status token otpValidationToken
        POST /auth/login: email password
        POST /auth/otp: Authorization otpValidationToken otp emailOtp success status token
        POST /auth/otp/email: email success status data
        POST /auth/reset-password/send: lang email origin success status data
        POST /auth/reset-password/change: token newPassword success status data
        POST /auth/refresh-token: x-user-id success status token
        POST /auth/sign-out: x-user-id success status""",
    "mobile": """
        POST /api/v1/auth/login: identifier password DEVICE status ACCOUNT
        POST /api/v1/auth/2fa/request-otp: identifier status message
        POST /api/v1/auth/2fa/verify: identifier password DEVICE otp status ACCOUNT""",
    "salon": """
        POST /api/auth/login: email password mobile token refresh_token USER user.email user.require_password_change 401
        POST /api/auth/logout: refresh_token device_token
        POST /api/auth/refresh: refresh_token token USER user.email user.require_password_change 401
        POST /api/auth/register: email name role id 409
        POST /api/auth/forgot-password: email
        POST /api/auth/reset-password: email token password 400
        POST /api/auth/change-password: email currentPassword newPassword confirmPassword 400 401
        GET /api/auth/users: [].id [].name [].email [].role
        POST /api/auth/device: token platform
        DELETE /api/auth/device: token
        GET /api/auth/setup-status: needsSetup
        POST /api/auth/setup: admin_name admin_email admin_password salon_name salon_email salon_phone salon_address
          opening_hours[].day_of_week opening_hours[].open_time opening_hours[].close_time opening_hours[].is_closed
          token USER 400""",
    "organization": """
        POST /api/auth/register: organizationName firstName lastName email password success message user.id user.email
          user.firstName user.lastName organization.id organization.name organization.slug
        POST /api/auth/verify-email: token success
        POST /api/auth/forgot-password: email success
        POST /api/auth/reset-password: token password success
        POST /api/auth/resend-verification: email success
        POST /api/auth/callback/credentials: email password session
        POST /api/auth/signout: session
        GET /api/auth/session: user.id user.email user.name user.organizationId user.role expires""",
    "tenant": """
        POST /auth/register: email password companyName firstName lastName PERSON tenant.id tenant.slug
          tenant.companyName 400 409
        POST /auth/login: tenantSlug email password PERSON user.avatar user.departmentId user.teamIds 401 404
        GET /auth/me: id email firstName lastName role roleLevel avatar departmentId teamIds permissions tenant.slug
          tenant.companyName
        POST /auth/refresh: refreshToken accessToken 401
        GET /auth/invite/validate: token valid email tenantName invitedBy roleName 400 404
        POST /auth/invite/accept: token password firstName lastName PERSON
        POST /auth/forgot-password: email tenantSlug message
        GET /auth/reset-password/validate: token valid email
        POST /auth/reset-password: token newPassword message
        POST /auth/change-password: currentPassword newPassword message 400 401""",
}
GROUPS = {
    "DEVICE": "device_type device_name device_os device_fingerprint",
    "USER": "user.id user.name user.role",
    "PERSON": "accessToken refreshToken user.id user.email user.firstName user.lastName user.role user.roleLevel",
    "ACCOUNT": "access_token refresh_token account_id device_id session_uuid exp iss aud jti "
    "account.failed_attempts account.id account.uuid account.email account.phone account.password_digest "
    "account.accountable_type account.accountable_id account.role_id account.remember_created_at "
    "account.sign_in_count account.current_sign_in_at account.last_sign_in_at account.current_sign_in_ip "
    "account.last_sign_in_ip account.account_confirmed_at account.account_confirmed account.unlock_token "
    "account.locked_at account.two_factor_enabled account.provider account.provider_uid account.created_at "
    "account.updated_at",
}
DOC = (ROOT / "docs/seed-coverage.md").read_text(encoding="utf-8")


def _parts(marks: str, text: str) -> Iterator[tuple[str, str]]:
    """Each heading with these marks, and the text up to the next one."""
    parts = re.split(rf"^{marks} (.+)\n", text, flags=re.MULTILINE)
    return zip(parts[1::2], parts[2::2], strict=True)


def _documented() -> dict[tuple[str, str], tuple[str, list[tuple[str, str]]]]:
    """Each (seed, endpoint) of the page: its RPC, and its rows as (name, contract)."""
    found = {}
    for seed, section in _parts("##", DOC):
        for endpoint, text in _parts("###", section):
            (rpc,) = re.findall(r"\A\n`([\w.]+)`\n", text)
            found[seed, endpoint] = (rpc, re.findall(r"^\| \w+ \| `([^`]+)` \| ([^|]+) \|", text, flags=re.MULTILINE))
    return found


DOCUMENTED = _documented()


def _wanted() -> dict[tuple[str, str], set[str]]:
    """Each (seed, endpoint) of the product documents and the names it must account for."""
    found: dict[tuple[str, str], set[str]] = {}
    for seed, text in SEEDS.items():
        parts = re.split(r"((?:GET|POST|DELETE) /\S+):", text)
        for endpoint, names in zip(parts[1::2], parts[2::2], strict=True):
            found[seed, endpoint] = {name for word in names.split() for name in GROUPS.get(word, word).split()}
    return found


WANTED = _wanted()


def test_every_endpoint_of_the_seeds_is_covered() -> None:
    """The page has the endpoints of the product documents, no more and no fewer."""
    assert DOCUMENTED.keys() == WANTED.keys()
    assert len(WANTED) == 42


@pytest.mark.parametrize("endpoint", WANTED, ids=" ".join)
def test_every_field_of_an_endpoint_is_covered(endpoint: tuple[str, str]) -> None:
    """Each parameter, field and documented error of an endpoint has a row."""
    _, rows = DOCUMENTED[endpoint]

    assert WANTED[endpoint] - {name for name, _ in rows} == set()


def _resolve(path: str) -> None:
    """Fail unless a dotted path of the page names a field of a message, or a reason."""
    head, *rest = path.split(".")
    if head == "ErrorReason":
        assert rest[0] in REASONS, path
        return
    message: Descriptor = POOL.FindMessageTypeByName(f"{PACKAGE}.{head}")
    for step in rest:
        assert message is not None and step in message.fields_by_name, path
        message = message.fields_by_name[step].message_type


@pytest.mark.parametrize("endpoint", DOCUMENTED, ids=" ".join)
def test_what_covers_an_endpoint_exists(endpoint: tuple[str, str]) -> None:
    """Each row names a field of the RPC's own messages or a reason it gives, or says that the dialect does it."""
    name, rows = DOCUMENTED[endpoint]
    (rpc,) = (rpc for rpc in RPCS if str(rpc) == name)
    reasons = {*dict(rpc.errors()), "INVALID_REQUEST"}

    for _, contract in rows:
        paths = re.findall(r"`([\w.]+)`", contract)
        assert paths or contract == "dialect"
        for path in paths:
            _resolve(path)
            head, rest = path.split(".", 1)
            assert head in {rpc.request.name, rpc.response.name, "IntrospectTokenResponse"} or rest in reasons
