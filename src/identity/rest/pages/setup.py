"""`/setup`: the first run, open once (AZ-06)."""

from __future__ import annotations

from identity.rest.pages.page import Page, View, Visit, done
from identity.rest.refusals import Refusal
from identity_pb.v1 import auth_service_pb2 as pb

_FORM = "setup.html"


async def _show(visit: Visit) -> View:
    status = await visit.call(visit.exchange.upstream.auth.GetSetupStatus, pb.GetSetupStatusRequest())
    return View(_FORM, {"asks_secret": _is_elsewhere(visit)}) if status.needs_setup else done("setup.closed")


async def _submit(visit: Visit) -> View:
    wish = pb.SetupRequest(
        email=visit.text("email"),
        password=visit.password("password"),
        name=visit.text("name") or None,
        tenant_name=visit.text("tenant_name"),
        bootstrap_secret=visit.text("bootstrap_secret") or None,
        locale=visit.language,
        remember=False,
    )
    try:
        reply = await visit.call(visit.exchange.upstream.auth.Setup, wish)
    except Refusal as refusal:
        if refusal.reason == "SETUP_DONE":
            return done("setup.closed", refusal=refusal)
        # The service may see this container as another machine, where the container sees its own.
        asks_secret = _is_elsewhere(visit) or refusal.reason == "BOOTSTRAP_SECRET_INVALID"
        return View(_FORM, {"asks_secret": asks_secret or "bootstrap_secret" in visit.form}, refusal)
    session = reply.session
    await visit.leave(session.tokens.access_token)
    return done("setup.done", link="docs", tenant=session.tenant.name, email=session.account.email)


def _is_elsewhere(visit: Visit) -> bool:
    return visit.exchange.client_address is not None


PAGE = Page("/setup", _FORM, _submit, _show)
