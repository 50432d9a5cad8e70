"""Traces as a collector gets them: what happened in which call, and nothing of what it was about."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.conftest import FreshDatabase
from tests.journey import SOURCE, found_in, walk
from tests.logs import captured_log, lines
from tests.mail.sink import closed_port
from tests.mailbox import Mailbox
from tests.running import PASSWORD, WRONG_PASSWORD, new_email, refused, running
from tests.telemetry.collector import collecting

from identity import __version__
from identity.settings import SettingsInvalid, load_settings
from identity.store.database import dialect_of
from identity.telemetry.traces import EXPORT_SECONDS
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
LOGIN = "identity.v1.AuthService/Login"


async def test_a_call_is_part_of_its_callers_trace_with_all_that_it_waited_for(
    fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox
) -> None:
    """In the hashing lane, in a thread, and in the thread that writes for calls of the event loop."""
    with collecting() as collector, captured_log() as (call_log, log), fresh_database() as url:
        async with running(
            tmp_path, mailbox, database_url=url, otlp_endpoint=collector.endpoint, log=call_log
        ) as service:
            email = await service.verified()
            request = auth.LoginRequest(identifier=email, password=PASSWORD)
            tokens = (await service.auth.Login(request, metadata=TRACEPARENT)).session.tokens
            renewal = sessions.RefreshSessionRequest(refresh_token=tokens.refresh_token)
            await service.sessions.RefreshSession(renewal, metadata=TRACEPARENT)
            await refused(service.login(email, WRONG_PASSWORD))
            dialect = dialect_of(service.database_url)

        login = _only(collector.spans(LOGIN, rpc_response_status_code="OK"))
        renewed = _only(collector.spans("identity.v1.SessionService/RefreshSession"))
        assert {(span.trace, span.parent) for span in (login, renewed)} == {(TRACE, PARENT)}
        within = [span for span in collector.spans() if span.parent == login.id]
        assert "verify password" in {span.name for span in within}
        units = [span for span in within if span.name == f"write {dialect}"]
        assert {"identity.domain.password_proof:prove_password.charge"} <= {
            span.attributes["code_function_name"] for span in units
        }
        assert {span.attributes["identity_outcome"] for span in units} == {"done"}
        rotation = _only([span for span in collector.spans() if span.parent == renewed.id])
        assert rotation.attributes["code_function_name"] == "identity.domain.session.refresh:rotation.rotate"
        assert all(0 <= span.seconds <= login.seconds for span in within)

        wrong = _only(collector.spans(LOGIN, rpc_response_status_code="UNAUTHENTICATED"))
        assert (wrong.attributes["error_type"], wrong.failed) == ("INVALID_CREDENTIALS", False)  # nothing is broken
        assert wrong.trace != TRACE and not wrong.parent
        assert [line["trace_id"] for line in lines(log, method=f"/{LOGIN}")] == [TRACE, wrong.trace]
        assert (collector.resource["service.name"], collector.resource["service.version"]) == ("identity", __version__)


async def test_what_nobody_waits_for_is_no_trace_and_a_delivery_is_one_of_its_own(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    with collecting() as collector:
        async with running(tmp_path, mailbox, otlp_endpoint=collector.endpoint) as service:
            email = await service.registered()
            await mailbox.wait(email)
            await service.mails_sent()

    roots = [span for span in collector.spans() if not span.parent]
    assert {span.name for span in roots} == {"deliver", "identity.v1.AuthService/Register"}
    delivery = collector.spans("deliver")[0]
    assert delivery.attributes == {"identity_channel": "mail", "identity_mail_kind": "verify_email"}


async def test_a_failure_of_ours_is_marked_and_its_text_is_not_told(tmp_path: Path, mailbox: Mailbox) -> None:
    with collecting() as collector:
        async with running(tmp_path, mailbox, otlp_endpoint=collector.endpoint) as service:
            service.execute(text("ALTER TABLE audit_events RENAME TO away"))
            await refused(service.auth.Register(auth.RegisterRequest(email=new_email(), password=PASSWORD)))
            service.execute(text("ALTER TABLE away RENAME TO audit_events"))

    call = _only(collector.spans("identity.v1.AuthService/Register"))
    assert (call.failed, call.attributes["error_type"]) == (True, "INTERNAL")
    (unit,) = [span for span in collector.spans() if span.failed and span.parent]
    assert unit.attributes["identity_outcome"] == "failed"
    assert all(not span.events for span in collector.spans())
    assert b"audit_events" not in collector.content


async def test_P_16_no_secret_and_nobody_is_in_a_trace(
    fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox
) -> None:
    with collecting() as collector, fresh_database() as url:
        async with running(tmp_path, mailbox, database_url=url, otlp_endpoint=collector.endpoint) as service:
            email = new_email()
            secrets = await walk(service, email)
            account = str(service.account(email).id)

    told = {**secrets, "address": email, "name": "Lovelace", "source": SOURCE}
    assert collector.spans(LOGIN)
    assert found_in(collector.content, told) == []
    assert account.encode() not in collector.content


async def test_LO_02_a_traceparent_that_is_none_begins_a_trace_of_our_own(tmp_path: Path, mailbox: Mailbox) -> None:
    """And nothing of it is kept; nor of `tracestate` and baggage, which hold what anybody likes."""
    bad = ["canary", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}", "canary" * 500]
    more = (("tracestate", "canary=1"), ("baggage", "canary=1"))
    with collecting() as collector:
        async with running(tmp_path, mailbox, otlp_endpoint=collector.endpoint) as service:
            for traceparent in (*bad, TRACEPARENT[0][1]):
                await service.auth.GetSetupStatus(
                    auth.GetSetupStatusRequest(), metadata=(("traceparent", traceparent), *more)
                )

    calls = collector.spans("identity.v1.AuthService/GetSetupStatus")
    assert [bool(call.parent) for call in calls] == [False] * len(bad) + [True]
    assert len({call.trace for call in calls}) == len(calls)
    assert b"canary" not in collector.content


async def test_F_18_a_collector_that_is_away_holds_nobody_up(tmp_path: Path, mailbox: Mailbox) -> None:
    """Spans are dropped; calls are answered, and the service ends soon, however many spans wait."""
    away = f"http://127.0.0.1:{closed_port()}"
    async with running(tmp_path, mailbox, otlp_endpoint=away) as service:
        await service.signed_in()
        trace = service.service._telemetry.trace_call
        assert trace is not None
        for _ in range(3000):
            trace("/identity.v1.AuthService/Login", None).end("OK", "")
        begun = time.monotonic()
    assert time.monotonic() - begun < 2.5 * EXPORT_SECONDS


@pytest.mark.parametrize("endpoint", ["collector:4317", "ftp://collector:4317", "http://collector", "http://a:b:c"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsInvalid, match="IDENTITY_OTLP_ENDPOINT"):
        load_settings(otlp_endpoint=endpoint)


def _only(spans: list[Any]) -> Any:
    (span,) = spans
    return span
