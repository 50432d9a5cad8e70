"""`/reset-password`: a new password with a mailed link, and the mail itself for whoever has no link."""

from __future__ import annotations

from identity.rest.pages.page import Page, View, Visit, done
from identity_pb.v1 import auth_service_pb2 as pb


async def _submit(visit: Visit) -> View:
    auth = visit.exchange.upstream.auth
    if visit.text("do") == "send":
        email = visit.text("email")
        request = pb.RequestPasswordResetRequest(identifier=email, locale=visit.language)
        await visit.call(auth.RequestPasswordReset, request)
        return done("reset_password.sent", email=email)
    wish = pb.ResetPasswordRequest(token=visit.text("token"), new_password=visit.password("new_password"))
    await visit.call(auth.ResetPassword, wish)
    return done("reset_password.done")


PAGE = Page("/reset-password", "reset_password.html", _submit)
