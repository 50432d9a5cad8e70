"""What must hold for one person once the service is back: F-02, F-03, F-04, N-02, seen from outside."""

from __future__ import annotations

from tests.crash.person import Fact, Line, Person, Refused, Seat
from tests.crash.post import VERIFY

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions


async def settle(person: Person, line: Line) -> None:
    """Learn what became of what was never answered, and check all that was.

    Afterwards there are no doubts left, and every live session holds its newest token.
    """
    if person.registered is Fact.NO:
        return
    if person.registered is Fact.MAYBE:
        # A retry is truthful: it registers, or says what it says of a registered address (F-03, F-19).
        await person.register(line)
    if person.wanted is not None:
        await _settle_password(person, line)
    assert await _accepts(line, person, person.password)
    for outdated in person.outdated[-1:]:
        assert not await _accepts(line, person, outdated), "an old password came back"
    if person.verified is Fact.MAYBE:
        await _settle_verification(person, line)
    for seat in person.seats:
        await _settle_seat(person, seat, line)


def check_mails(person: Person, line: Line) -> None:
    """Every mail that was promised has been sent, and copies of a mail are the same mail (F-03, F-12)."""
    verifications = line.post.distinct(person.email, VERIFY)
    assert len(verifications) == (person.registered is Fact.YES), "one registration, one mail"
    letters = {letter.id: letter for letter in line.post.letters[person.email]}
    assert set(letters.values()) == set(line.post.letters[person.email]), "one Message-ID, two mails"
    resets = len(letters) - len(verifications)
    assert person.resets_acknowledged <= resets <= person.resets_asked


async def _settle_password(person: Person, line: Line) -> None:
    """A password is the old one or the new one, never both or none, and what ends by it ended with it (F-04)."""
    assert person.wanted is not None
    took = await _accepts(line, person, person.wanted)
    assert took != await _accepts(line, person, person.password), "both passwords, or none"
    if person.keeps is not None:
        person.conclude(took=took)
        return
    assert person.reset_token is not None
    request = auth.ValidatePasswordResetRequest(token=person.reset_token)
    assert (await _reason(line, line.auth.ValidatePasswordReset, request) == "LINK_USED") == took
    person.conclude(took=took)
    if not took:
        await person.use_reset(line)


async def _settle_verification(person: Person, line: Line) -> None:
    """The token is used up if, and only if, the address is proven (F-04)."""
    before = await _sign_in_reason(line, person, person.password)
    link = line.post.distinct(person.email, VERIFY)[-1].secret
    refusal = await _reason(line, line.auth.VerifyEmail, auth.VerifyEmailRequest(token=link))
    assert (before, refusal) in {("", "LINK_USED"), ("EMAIL_NOT_VERIFIED", "")}
    assert await _sign_in_reason(line, person, person.password) == ""
    person.verified = Fact.YES


async def _settle_seat(person: Person, seat: Seat, line: Line) -> None:
    alive = await _reason(line, line.sessions.GetSession, sessions.GetSessionRequest(), seat.access) == ""
    if seat.ended is Fact.MAYBE:
        if alive:
            await person.sign_out(line, seat)
        seat.ended, alive = Fact.YES, False
    assert alive == (seat.ended is Fact.NO), "what ended came back, or what lives was lost"
    if alive:
        await _settle_refresh(person, seat, line)
        return
    for token in filter(None, (seat.refresh, seat.parent)):
        request = sessions.RefreshSessionRequest(refresh_token=token)
        assert await _reason(line, line.sessions.RefreshSession, request) == "SESSION_REVOKED"
    # The access token is refused where nothing but the memory of the process can know it (SE-04, N-02).
    change = auth.ChangePasswordRequest(current_password="not the password", new_password="never to be stored")
    assert await _reason(line, line.auth.ChangePassword, change, seat.access) == "SESSION_REVOKED"


async def _settle_refresh(person: Person, seat: Seat, line: Line) -> None:
    """Whoever holds the last token received goes on from it, and there is one leaf (F-02)."""
    in_doubt = seat.asked
    repeated = await person.refresh(line, seat)
    assert in_doubt or not repeated, "a rotation that nobody asked for"
    leaf = seat.refresh
    assert seat.parent is not None
    seat.refresh = seat.parent
    assert await person.refresh(line, seat), "the parent of the leaf was taken for the leaf"
    assert seat.refresh == leaf, "two leaves"


async def _accepts(line: Line, person: Person, password: str) -> bool:
    """Whether a password is the account's; the service tells so without a proven address too."""
    return await _sign_in_reason(line, person, password) != "INVALID_CREDENTIALS"


async def _sign_in_reason(line: Line, person: Person, password: str) -> str:
    return await _reason(line, line.auth.Login, auth.LoginRequest(identifier=person.email, password=password))


async def _reason(line: Line, method: object, request: object, access_token: str | None = None) -> str:
    """Why a call is refused; empty if it is not."""
    try:
        await line.call(method, request, access_token)
    except Refused as refused:
        return refused.reason
    return ""
