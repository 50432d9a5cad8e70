"""Every error the domain raises: one class each, named as the sentence that happened.

`reason` is the name of the `ErrorReason` value clients branch on; `message` is public and says what
the reader can do. Status codes belong to the edge (`rpc/errors.py`), never to this module. An error
carries no secret and nothing that was not already known to its receiver.
"""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """A refusal that is part of the contract.

    `field` names the request field at fault, `retry_after` is in seconds, `metadata` goes to
    `ErrorInfo.metadata`.
    """

    reason: ClassVar[str]
    message: ClassVar[str]

    def __init__(self, *, field: str | None = None, retry_after: float | None = None, **metadata: str) -> None:
        super().__init__(self.message)
        self.field = field
        self.retry_after = retry_after
        self.metadata = metadata


# The request itself.


class InvalidRequest(DomainError):
    reason = "INVALID_REQUEST"
    message = "The request is not valid."

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(field=field)
        if message is not None:
            self.message = message  # type: ignore[misc]  # the instance says more than the class


class NotFound(DomainError):
    reason = "NOT_FOUND"
    message = "There is nothing with this id."


# Who is calling.


class Unauthenticated(DomainError):
    reason = "UNAUTHENTICATED"
    message = "This call needs a valid access token."


class PermissionDenied(DomainError):
    reason = "PERMISSION_DENIED"
    message = "The caller is not allowed to do this."


class PasswordChangeRequired(DomainError):
    reason = "PASSWORD_CHANGE_REQUIRED"
    message = "The password must be changed before anything else."


# Signing in.


class InvalidCredentials(DomainError):
    """The one failure shape of signing in (LG-01): never says which part was wrong."""

    reason = "INVALID_CREDENTIALS"
    message = "The credentials are not valid."


class EmailNotVerified(DomainError):
    """Told only to somebody who has proven the password."""

    reason = "EMAIL_NOT_VERIFIED"
    message = "Confirm the e-mail address with the link that was mailed to it, then sign in again."


class AccountLocked(DomainError):
    """Told only to the proven owner."""

    reason = "ACCOUNT_LOCKED"
    message = "The account is locked. Reset the password or ask an administrator to unlock it."


class MfaRequired(DomainError):
    reason = "MFA_REQUIRED"
    message = "This needs a code of the second factor as well."


class OtpInvalid(DomainError):
    """Wrong, used, foreign and throttled codes alike."""

    reason = "OTP_INVALID"
    message = "The code is not valid."


class OtpExpired(DomainError):
    reason = "OTP_EXPIRED"
    message = "The code has expired or had too many tries. Ask for a new one."


class FactorRequired(DomainError):
    reason = "FACTOR_REQUIRED"
    message = "The role requires a second factor, and this is the last one."


class FactorNotAllowed(DomainError):
    reason = "FACTOR_NOT_ALLOWED"
    message = "The policy does not allow this factor for the account."


class ReauthenticationRequired(DomainError):
    reason = "REAUTHENTICATION_REQUIRED"
    message = "The last sign-in is too long ago for this. Sign in again."


# Tokens and sessions.


class TokenInvalid(DomainError):
    reason = "TOKEN_INVALID"
    message = "The token is not valid."


class TokenExpired(DomainError):
    reason = "TOKEN_EXPIRED"
    message = "The token has expired. Ask for a new one."


class TokenReused(DomainError):
    """An old refresh token came back: the session is over (RFC 9700 §4.14.2)."""

    reason = "TOKEN_REUSED"
    message = "The refresh token was used before, so the session was ended. Sign in again."


class SessionRevoked(DomainError):
    reason = "SESSION_REVOKED"
    message = "The session has ended. Sign in again."


# The one-time tokens of mails: not found, or found but of no use any more.


class LinkNotFound(DomainError):
    reason = "LINK_NOT_FOUND"
    message = "The link is not valid. Ask for a new mail."


class LinkExpired(DomainError):
    reason = "LINK_EXPIRED"
    message = "The link has expired. Ask for a new mail."


class LinkUsed(DomainError):
    reason = "LINK_USED"
    message = "The link has been used already, or a newer mail replaced it."


# Invitations.


class InviteNotFound(DomainError):
    reason = "INVITE_NOT_FOUND"
    message = "There is no such invitation."


class InviteUsed(DomainError):
    reason = "INVITE_USED"
    message = "The invitation was answered, taken back or replaced by a newer one."


class InviteExpired(DomainError):
    reason = "INVITE_EXPIRED"
    message = "The invitation has expired. Ask for a new one."


class InviteVoid(DomainError):
    reason = "INVITE_VOID"
    message = "Who sent the invitation may not give this role any more. Ask for a new one."


class InviteEmailMismatch(DomainError):
    reason = "INVITE_EMAIL_MISMATCH"
    message = "The invitation is for another e-mail address than the caller's."


class SignInRequired(DomainError):
    reason = "SIGN_IN_REQUIRED"
    message = "An account with this e-mail address exists already. Sign in to it, then accept."


class AlreadyMember(DomainError):
    reason = "ALREADY_MEMBER"
    message = "The account belongs to the tenant already."


# Becoming somebody.


class EmailTaken(DomainError):
    reason = "EMAIL_TAKEN"
    message = "An account with this e-mail address or phone number exists already."


class PhoneTaken(DomainError):
    reason = "PHONE_TAKEN"
    message = "An account with this e-mail address or phone number exists already."


class TenantNameTaken(DomainError):
    reason = "TENANT_NAME_TAKEN"
    message = "A tenant with this name exists already."


class AlreadyRegistered(DomainError):
    """The address or the tenant's name is taken, and the preset does not say which (Z-24)."""

    reason = "ALREADY_REGISTERED"
    message = "An account with this address or a tenant with this name exists already."


class TenantNotFound(DomainError):
    reason = "TENANT_NOT_FOUND"
    message = "There is no tenant with this slug."


class RoleNotAllowed(DomainError):
    reason = "ROLE_NOT_ALLOWED"
    message = "Nobody can register with this role. Ask to be invited."


class RegistrationClosed(DomainError):
    reason = "REGISTRATION_CLOSED"
    message = "Nobody can register here. Ask an administrator for an invitation."


class LastAdmin(DomainError):
    reason = "LAST_ADMIN"
    message = "The tenant would be left without an active administrator."


class RoleInUse(DomainError):
    reason = "ROLE_IN_USE"
    message = "The role is built in, or members or pending invitations have it."


class SetupDone(DomainError):
    reason = "SETUP_DONE"
    message = "The first-run set-up has been completed and is closed."


class BootstrapSecretInvalid(DomainError):
    reason = "BOOTSTRAP_SECRET_INVALID"
    message = "The first-run set-up needs the bootstrap secret that stands on the server's console."


# Passwords.


class PasswordTooShort(DomainError):
    reason = "PASSWORD_TOO_SHORT"
    message = "The password is too short."


class PasswordTooLong(DomainError):
    reason = "PASSWORD_TOO_LONG"
    message = "The password is longer than 128 characters or 512 bytes."


class PasswordComposition(DomainError):
    reason = "PASSWORD_COMPOSITION"
    message = "The password needs an upper-case letter, a lower-case letter, a digit and a special character."


class PasswordBlocklisted(DomainError):
    reason = "PASSWORD_BLOCKLISTED"
    message = "The password is too common or too close to your own names. Choose another one."


class PasswordUnchanged(DomainError):
    reason = "PASSWORD_UNCHANGED"
    message = "The new password is the current one. Choose another one."


# The service itself.


class RateLimited(DomainError):
    reason = "RATE_LIMITED"
    message = "Too many attempts. Try again later."


class Overloaded(DomainError):
    reason = "OVERLOADED"
    message = "The service is busy. Try again shortly."


class ServiceUnavailable(DomainError):
    """The database or a clock the answer depends on is out of reach: never an answer about credentials (AV-02)."""

    reason = "SERVICE_UNAVAILABLE"
    message = "The service cannot answer now. Try again shortly."
