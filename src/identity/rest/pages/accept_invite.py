"""`/accept-invite`: who invites where, and then yes or no. An account that exists signs in first, on the same road.

Every step sends the invitation's token again and looks the invitation up afresh, so that nothing that the browser
says of address, tenant or role is believed (RC-07).
"""

from __future__ import annotations

import re
from typing import Any

from identity.rest.pages.page import Page, View, Visit, done
from identity.rest.refusals import Refusal, malformed
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as pb
from identity_pb.v1.resources_pb2 import FACTOR_TYPE_EMAIL_OTP

Invite = pb.ValidateInviteResponse

_is_code = re.compile(r"[0-9]{6}").fullmatch
_is_recovery_code = re.compile(r"[A-Za-z0-9-]{10,32}").fullmatch
_SIGN_IN_IS_OVER = {"TOKEN_INVALID", "TOKEN_EXPIRED"}


async def _submit(visit: Visit) -> View:
    upstream = visit.exchange.upstream
    invite = await visit.call(upstream.invites.ValidateInvite, pb.ValidateInviteRequest(token=visit.text("token")))
    try:
        match visit.text("do"):
            case "accept":
                return await _accept(visit, invite)
            case "sign_in":
                return await _sign_in(visit, invite)
            case "code":
                return await _prove(visit, invite)
            case "send":
                return await _send_code(visit, invite)
            case "decline":
                await visit.call(upstream.invites.DeclineInvite, pb.DeclineInviteRequest(token=visit.text("token")))
                return done("answer_invite.declined", tenant=invite.tenant_name)
    except Refusal as refusal:
        return _offer(invite, refusal)
    return _offer(invite)


def _offer(invite: Invite, refusal: Refusal | None = None) -> View:
    return View("answer_invite.html", {"invite": invite}, refusal)


async def _accept(visit: Visit, invite: Invite) -> View:
    """As a new account. What its role still needs is asked for when it signs in."""
    wish = pb.AcceptInviteRequest(
        token=visit.text("token"),
        password=visit.password("password"),
        name=visit.text("name") or None,
        locale=visit.language,
        remember=False,
    )
    reply = await visit.call(visit.exchange.upstream.invites.AcceptInvite, wish)
    if reply.HasField("session"):
        await visit.leave(reply.session.tokens.access_token)
    return _accepted(invite)


async def _sign_in(visit: Visit, invite: Invite) -> View:
    wish = auth.LoginRequest(
        identifier=invite.email, password=visit.password("password"), remember=False, locale=visit.language
    )
    return await _go_on(visit, invite, await visit.call(visit.exchange.upstream.auth.Login, wish))


async def _prove(visit: Visit, invite: Invite) -> View:
    code, challenge_token = visit.text("code").replace(" ", ""), visit.text("challenge_token")
    try:
        if _is_code(code):
            answer = auth.VerifyOtpRequest(challenge_token=challenge_token, otp=code)
        elif _is_recovery_code(code):
            answer = auth.VerifyOtpRequest(challenge_token=challenge_token, recovery_code=code)
        else:
            raise malformed("code", "This is no code.")
        reply = await visit.call(visit.exchange.upstream.auth.VerifyOtp, answer)
    except Refusal as refusal:
        if refusal.reason in _SIGN_IN_IS_OVER:
            raise
        return _ask_for_code(invite, challenge_token, visit.text("by"), refusal)
    return await _go_on(visit, invite, reply)


async def _send_code(visit: Visit, invite: Invite) -> View:
    challenge_token = visit.text("challenge_token")
    wish = auth.SendOtpRequest(challenge_token=challenge_token, locale=visit.language)
    await visit.call(visit.exchange.upstream.auth.SendOtp, wish)
    return _ask_for_code(invite, challenge_token, "mail", sent=True)


async def _go_on(visit: Visit, invite: Invite, reply: Any) -> View:
    """Whatever a sign-in still needs; at its end, the invitation is accepted as who has signed in."""
    match reply.WhichOneof("result"):
        case "mfa_challenge":
            challenge = reply.mfa_challenge
            by = "mail" if challenge.factors[:1] == [FACTOR_TYPE_EMAIL_OTP] else "app"
            return _ask_for_code(invite, challenge.challenge_token, by)
        case "tenant_choice":
            # Any of them will do: accepting moves the session to the tenant of the invitation.
            choice = reply.tenant_choice
            selection = auth.SelectTenantRequest(challenge_token=choice.challenge_token, tenant_id=choice.tenants[0].id)
            return await _go_on(visit, invite, await visit.call(visit.exchange.upstream.auth.SelectTenant, selection))
        case "password_change":
            await visit.leave(reply.password_change.tokens.access_token)
            return done("answer_invite.temporary", link="reset-password")
    return await _join(visit, invite, reply.session.tokens.access_token)


async def _join(visit: Visit, invite: Invite, access_token: str) -> View:
    wish = pb.AcceptInviteRequest(token=visit.text("token"), remember=False)
    try:
        reply = await visit.call(visit.exchange.upstream.invites.AcceptInvite, wish, bearer=access_token)
    except Refusal:
        await visit.leave(access_token)
        raise
    await visit.leave(reply.session.tokens.access_token)
    return _accepted(invite)


def _ask_for_code(
    invite: Invite, challenge_token: str, by: str, refusal: Refusal | None = None, *, sent: bool = False
) -> View:
    by = "mail" if by == "mail" else "app"
    values = {"invite": invite, "challenge_token": challenge_token, "by": by, "sent": sent}
    return View("sign_in_code.html", values, refusal)


def _accepted(invite: Invite) -> View:
    return done("answer_invite.accepted", tenant=invite.tenant_name, role=invite.role_name, email=invite.email)


PAGE = Page("/accept-invite", "accept_invite.html", _submit)
