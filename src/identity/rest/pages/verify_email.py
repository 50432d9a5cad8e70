"""`/verify-email`: proving an address."""

from __future__ import annotations

from identity.rest.pages.page import Page, View, Visit, done
from identity_pb.v1 import auth_service_pb2 as pb


async def _submit(visit: Visit) -> View:
    auth = visit.exchange.upstream.auth
    if visit.text("do") == "send":
        email = visit.text("email")
        await visit.call(auth.ResendVerification, pb.ResendVerificationRequest(email=email, locale=visit.language))
        return done("verify_email.sent", email=email)
    reply = await visit.call(auth.VerifyEmail, pb.VerifyEmailRequest(token=visit.text("token")))
    return done("verify_email.done", email=reply.email)


PAGE = Page("/verify-email", "verify_email.html", _submit)
