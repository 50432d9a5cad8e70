"""How long a mail waits for its next try."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=15)


def wait_after(attempts: int, mail_id: UUID, left: timedelta) -> timedelta:
    """The wait after try number `attempts`: 5 s, 10 s, 20 s, … 15 min, and up to a fifth more.

    The extra comes from the mail's id, so that mails that failed together do not come back together,
    and a test knows it beforehand. Half of the life that is `left` is never exceeded, or the last try
    of a code that lives ten minutes would come minutes too late.
    """
    wait = min(FIRST * (1 << min(attempts - 1, 16)), LONGEST)
    spread = wait / 5 * (mail_id.int % 1009 / 1009)
    return max(FIRST, min(wait + spread, left / 2))
