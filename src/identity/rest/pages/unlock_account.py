"""`/unlock-account`: opening an account that wrong passwords have locked."""

from __future__ import annotations

from identity.rest.pages.page import Page, View, Visit, done
from identity_pb.v1.auth_service_pb2 import UnlockAccountRequest


async def _submit(visit: Visit) -> View:
    await visit.call(visit.exchange.upstream.auth.UnlockAccount, UnlockAccountRequest(token=visit.text("token")))
    return done("unlock_account.done", link="reset-password")


PAGE = Page("/unlock-account", "unlock_account.html", _submit)
