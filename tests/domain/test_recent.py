"""What GetSession may tell again, and what it may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from identity.domain.session.recent import LIFETIME, Recent

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_noted_is_told_for_a_second_from_the_opening_of_its_page() -> None:
    seconds, account, session = Seconds(), uuid4(), uuid4()
    recent: Recent[str] = Recent(seconds)
    page = recent.open(account)
    seconds.now += 0.4
    page.note(session, "read meanwhile", LATER)
    seconds.now = LIFETIME - 0.001
    assert recent.recall(account, session, NOW) == "read meanwhile"
    seconds.now = LIFETIME
    assert recent.recall(account, session, NOW) is None
    assert recent.open(account) is not page


def test_a_session_that_is_over_is_not_told() -> None:
    account, session = uuid4(), uuid4()
    recent: Recent[str] = Recent(Seconds())
    recent.open(account).note(session, "read", LATER)
    assert recent.recall(account, session, LATER - timedelta(microseconds=1)) == "read"
    assert recent.recall(account, session, LATER) is None


def test_a_change_tears_the_page_out_for_reads_in_progress_too() -> None:
    account, session = uuid4(), uuid4()
    recent: Recent[str] = Recent(Seconds())
    before = recent.open(account)
    recent.forget(account)
    after = recent.open(account)
    before.note(session, "old", LATER)
    assert recent.recall(account, session, NOW) is None
    after.note(session, "new", LATER)
    assert recent.recall(account, session, NOW) == "new"


def test_a_page_is_of_one_account() -> None:
    one, other, session = uuid4(), uuid4(), uuid4()
    recent: Recent[str] = Recent(Seconds())
    recent.open(one).note(session, "one", LATER)
    recent.open(other)
    recent.forget(other)
    assert recent.recall(one, session, NOW) == "one"
    assert recent.recall(other, session, NOW) is None


def test_a_change_of_what_accounts_share_tears_out_every_page() -> None:
    recent: Recent[str] = Recent(Seconds())
    accounts, session = [uuid4() for _ in range(2)], uuid4()
    for account in accounts:
        recent.open(account).note(session, "read", LATER)
    recent.forget(None)
    assert [recent.recall(account, session, NOW) for account in accounts] == [None, None]


def test_the_accounts_that_are_remembered_are_bounded() -> None:
    recent: Recent[str] = Recent(Seconds(), limit=2)
    accounts, session = [uuid4() for _ in range(3)], uuid4()
    for account in accounts:
        recent.open(account).note(session, "read", LATER)
    assert [recent.recall(account, session, NOW) for account in accounts] == [None, "read", "read"]
