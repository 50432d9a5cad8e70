"""One id leads from the caller's request through the call to the database and the mail that came of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from tests.conftest import Launch
from tests.logs import captured_log, lines
from tests.running import PASSWORD, Metadata, bearer, new_email, outcome, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions


def named(request_id: str, *more: tuple[str, str]) -> Metadata:
    """The metadata by which a caller says what its request is called."""
    return (("x-request-id", request_id), *more)


async def test_the_database_line_has_the_id_of_the_request(launch: Launch) -> None:
    """In a thread, in the hashing lane, and in the thread that writes for calls of the event loop."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log, log_slow_seconds=0)
        tokens = (await service.signed_in()).tokens
        in_thread = named("thread", *bearer(tokens.access_token))
        calls: dict[str, Any] = {
            "thread": service.sessions.ListSessions(sessions.ListSessionsRequest(), metadata=in_thread),
            "lane": service.auth.Login(
                auth.LoginRequest(identifier=new_email(), password=PASSWORD), metadata=named("lane")
            ),
            "loop": service.sessions.RefreshSession(
                sessions.RefreshSessionRequest(refresh_token=tokens.refresh_token), metadata=named("loop")
            ),
        }
        for call in calls.values():
            await outcome(call)

        for request_id in calls:
            units = lines(log, event="slow unit of work", request_id=request_id)
            assert units and lines(log, event="call", request_id=request_id)
            assert all(0 <= unit["waited_ms"] <= unit["duration_ms"] and unit["runs"] == 1 for unit in units)
        (rotation,) = lines(log, request_id="loop", kind="write")
        assert rotation["unit"] == "identity.domain.session.refresh:rotation.rotate"


async def test_nothing_is_slow_by_default(launch: Launch) -> None:
    with captured_log() as (call_log, log):
        service = await launch(log=call_log, log_slow_seconds=60)
        await service.verified()

    assert lines(log, event="call") and not lines(log, event="slow unit of work")


async def test_a_unit_that_fails_is_told_with_its_cause_and_no_value(launch: Launch) -> None:
    """N-24: the statement and what the database calls the fault, and nothing of the row."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log)
        service.execute(text("ALTER TABLE audit_events RENAME TO away"))
        request = auth.RegisterRequest(email=new_email(), password=PASSWORD, first_name="Canary")
        await refused(service.auth.Register(request, metadata=named("failing")))
        service.execute(text("ALTER TABLE away RENAME TO audit_events"))

    (failed,) = lines(log, event="unit of work failed", request_id="failing")
    assert failed["unit"].startswith("identity.domain.auth.register:")
    assert (failed["error"], failed["level"]) == ("StoreError", "warning")
    assert "audit_events" in failed["cause"]
    assert request.email not in log.getvalue() and "Canary" not in log.getvalue()


async def test_the_mail_lines_lead_back_to_the_request(launch: Launch) -> None:
    """Also where the mail is made later, for a wish that looked nobody up (RC-03)."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log)
        email = new_email()
        await service.auth.Register(auth.RegisterRequest(email=email, password=PASSWORD), metadata=named("register"))
        await service.mailbox.wait(email)
        service.clock.advance(minutes=2)
        again = auth.ResendVerificationRequest(email=email)
        await service.auth.ResendVerification(again, metadata=named("again"))
        await service.mailbox.wait(email, 2)
        await service.mails_sent()

    (queued,) = lines(log, event="mail queued", request_id="register")
    (sent,) = lines(log, event="mail", mail=queued["mail"])
    assert (sent["kind"], sent["channel"], sent["outcome"]) == ("verify_email", "mail", "sent")
    (wish,) = lines(log, event="mail queued", request_id="again")
    (resolved,) = lines(log, event="mail resolved", request=wish["mail"])
    assert [line["outcome"] for line in lines(log, event="mail", mail=resolved["mail"])] == ["sent"]


async def test_LO_02_an_id_that_is_no_plain_word_is_replaced(launch: Launch) -> None:
    """What is not letters, digits, dots, underscores and dashes, 64 at most, is not told anywhere."""
    with captured_log() as (call_log, log):
        service = await launch(log=call_log, log_slow_seconds=0)
        for given in ("two words", "a" * 65, 'a"b', "a,b", ""):
            call = service.auth.GetSetupStatus(auth.GetSetupStatusRequest(), metadata=named(given))
            answered = dict(await call.trailing_metadata())["x-request-id"]

            assert answered != given
            (unit,) = lines(log, event="slow unit of work", request_id=answered)
            assert unit["unit"] == "identity.domain.auth.setup:needs_setup.<lambda>"
