"""The mobile product: `/api/v1/auth/*`, in French. What differs from its document is in docs/dialects/mobile.md."""

from __future__ import annotations

from typing import Any, Literal

from google.protobuf.message import Message
from pydantic import RootModel
from starlette.responses import Response

from identity.rest.dialect import Body, Dialect, Fault, Operation, Reply, alike, moment, refused, reply
from identity.rest.exchange import Exchange
from identity.rest.first_tenant import first_tenant
from identity.rest.refusals import PERMISSION_DENIED, Refusal
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources


class SignIn(Body):
    identifier: str
    """Une adresse e-mail, ou un numéro de téléphone avec son indicatif."""
    password: str
    device_type: str | None = None
    device_name: str | None = None
    device_os: str | None = None
    device_fingerprint: str | None = None
    """Le même à chaque étape d'une connexion."""


class CodeWish(Body):
    identifier: str


class SignInWithCode(SignIn):
    otp: str
    """Les 6 chiffres du code."""


class Account(Reply):
    """Le compte, champ par champ comme l'application le connaît."""

    failed_attempts: int
    id: int
    uuid: str
    email: str | None
    phone: str | None
    password_digest: None
    accountable_type: str | None
    accountable_id: int | None
    role_id: int | None
    remember_created_at: None
    sign_in_count: int
    current_sign_in_at: str | None
    last_sign_in_at: str | None
    current_sign_in_ip: str | None
    last_sign_in_ip: str | None
    account_confirmed_at: str | None
    account_confirmed: bool
    unlock_token: None
    locked_at: str | None
    two_factor_enabled: bool
    provider: str
    provider_uid: str | None
    created_at: str
    updated_at: str


class SignedIn(Reply):
    """Les jetons de la session, et le compte."""

    status: Literal[200]
    access_token: str
    refresh_token: str
    account: Account


class CodeAsked(Reply):
    """Le mot de passe est bon ; il manque le code."""

    status: Literal[200]
    message: str
    two_factor_required: Literal[True]


class SignedInOrCodeAsked(RootModel[SignedIn | CodeAsked]):
    """Les jetons, ou la demande d'un code."""


class CodeSent(Reply):
    """Toujours la même réponse."""

    status: Literal[201]
    message: str


class Error(Reply):
    """Un refus."""

    status: int
    message: str
    code: str
    """La raison, telle que le contrat la nomme."""
    errors: list[Fault] | None = None


async def login(exchange: Exchange, body: SignIn) -> Response:
    request = auth.LoginRequest(identifier=body.identifier, password=body.password, device=_device(body), remember=True)
    answer = await first_tenant(exchange, await exchange.call(exchange.upstream.auth.Login, request))
    if answer.WhichOneof("result") != "mfa_challenge":
        return _signed_in(answer)
    by_mail = resources.FACTOR_TYPE_EMAIL_OTP in answer.mfa_challenge.factors
    message = "Un code OTP de 6 chiffres a été envoyé." if by_mail else "Saisissez le code de votre application."
    return reply(CodeAsked(status=200, message=message, two_factor_required=True))


async def request_otp(exchange: Exchange, body: CodeWish) -> Response:
    request = auth.SendOtpRequest(identifier=body.identifier)
    await alike(exchange.call(exchange.upstream.auth.SendOtp, request))
    return reply(CodeSent(status=201, message="Un code OTP de 6 chiffres a été renvoyé."), 201)


async def verify(exchange: Exchange, body: SignInWithCode) -> Response:
    who = auth.OtpCredentials(identifier=body.identifier, password=body.password, device=_device(body))
    request = auth.VerifyOtpRequest(credentials=who, otp=body.otp)
    return _signed_in(await first_tenant(exchange, await exchange.call(exchange.upstream.auth.VerifyOtp, request)))


def _device(body: SignIn) -> resources.Device:
    return resources.Device(
        type=body.device_type, name=body.device_name, os=body.device_os, fingerprint=body.device_fingerprint
    )


def _signed_in(answer: Any) -> Response:
    if answer.WhichOneof("result") != "session":
        # A temporary password, for whose change the document has no call.
        raise Refusal(PERMISSION_DENIED, "", reason="PASSWORD_CHANGE_REQUIRED")
    session, tokens = answer.session, answer.session.tokens
    account = _account(session.account, session.membership)
    return reply(
        SignedIn(status=200, access_token=tokens.access_token, refresh_token=tokens.refresh_token, account=account)
    )


def _account(account: resources.Account, membership: resources.Membership) -> Account:
    sign_ins, role = account.sign_ins, membership.role
    return Account(
        failed_attempts=account.failed_attempts,
        id=account.number,
        uuid=account.id,
        email=_text(account, "email"),
        phone=_text(account, "phone"),
        password_digest=None,  # whatever the document shows, and likewise the token that unlocks (Z-01)
        accountable_type="".join(map(str.capitalize, role.key.split("_"))) or None,
        accountable_id=membership.number or None,
        role_id=role.number or None,
        remember_created_at=None,
        sign_in_count=sign_ins.count,
        current_sign_in_at=_moment(sign_ins, "current_at"),
        last_sign_in_at=_moment(sign_ins, "last_at"),
        current_sign_in_ip=_text(sign_ins, "current_ip"),
        last_sign_in_ip=_text(sign_ins, "last_ip"),
        account_confirmed_at=_moment(account, "email_verified_at"),
        account_confirmed=account.HasField("email_verified_at"),
        unlock_token=None,
        locked_at=_moment(account, "locked_at"),
        two_factor_enabled=account.two_factor_enabled,
        provider=account.provider,
        provider_uid=_text(account, "provider_uid"),
        created_at=moment(account.created_at),
        updated_at=moment(account.updated_at),
    )


def _text(message: Message, field: str) -> str | None:
    return getattr(message, field) if message.HasField(field) else None


def _moment(message: Message, field: str) -> str | None:
    return moment(getattr(message, field)) if message.HasField(field) else None


def refuse(refusal: Refusal) -> Response:
    """A refusal in French; `code` is the reason of the contract."""
    message = MESSAGES.get(refusal.status) or MESSAGES.get(refusal.reason) or MESSAGES["INVALID_REQUEST"]
    if reference := refusal.metadata.get("ref"):
        message = f"{message} Référence : {reference}."
    faults = [Fault(field=field, message=FAULTS.get(reason, FAULT)) for field, _, reason in refusal.violations]
    return refused(refusal, Error(status=refusal.status, message=message, code=refusal.reason, errors=faults or None))


FAULT = "La valeur de ce champ n'est pas acceptée."
FAULTS = {"REQUIRED": "Ce champ est obligatoire.", "DUPLICATE_FIELD": "Ce champ est là deux fois."}
MESSAGES: dict[int | str, str] = {
    404: "Il n'y a rien à cette adresse.",
    405: "Cette méthode n'existe pas à cette adresse.",
    408: "La requête n'est pas arrivée à temps.",
    413: "La requête est trop grande.",
    415: "Le corps de la requête doit être du JSON.",
    429: "Trop de tentatives. Réessayez plus tard.",
    500: "Une erreur interne est survenue.",
    503: "Le service n'est pas disponible. Réessayez dans un instant.",
    "INVALID_REQUEST": "La requête n'est pas valide.",
    "INVALID_CREDENTIALS": "Identifiants invalides.",
    "EMAIL_NOT_VERIFIED": "Confirmez votre adresse e-mail avec le lien que vous avez reçu, puis réessayez.",
    "ACCOUNT_LOCKED": "Votre compte est verrouillé. Ouvrez-le avec le lien que vous avez reçu par e-mail.",
    "PASSWORD_CHANGE_REQUIRED": "Votre mot de passe est provisoire. Choisissez-en un autre, puis reconnectez-vous.",
    "OTP_INVALID": "Le code n'est pas valide.",
    "OTP_EXPIRED": "Le code a expiré. Demandez-en un nouveau.",
    "TOKEN_INVALID": "La connexion n'est plus en attente. Recommencez.",
    "TOKEN_EXPIRED": "La connexion n'est plus en attente. Recommencez.",
}
DEVICE = {f"device.{part}": f"device_{part}" for part in ("type", "name", "os", "fingerprint")}
REFUSED = {400: "Requête invalide", 401: "Identifiants invalides", 403: "Compte à confirmer ou à déverrouiller"}

DIALECT = Dialect(
    name="mobile",
    title="Mobile",
    about="Toutes les opérations liées à la connexion à un compte d'utilisateur.",
    refuse=refuse,
    failure=Error,
    operations=(
        Operation(
            "POST",
            "/api/v1/auth/login",
            login,
            "Connexion au compte",
            body=SignIn,
            answers={200: SignedInOrCodeAsked, **REFUSED},
            names=DEVICE,
        ),
        Operation(
            "POST",
            "/api/v1/auth/2fa/request-otp",
            request_otp,
            "Demande de code 2FA pour la connexion",
            body=CodeWish,
            answers={201: CodeSent, 400: "Requête invalide"},
        ),
        Operation(
            "POST",
            "/api/v1/auth/2fa/verify",
            verify,
            "Confirmation 2FA pour la connexion",
            body=SignInWithCode,
            answers={200: SignedIn, **REFUSED},
            names={f"credentials.{name}": product for name, product in DEVICE.items()}
            | {f"credentials.{name}": name for name in ("identifier", "password")},
        ),
    ),
)
