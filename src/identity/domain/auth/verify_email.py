"""VerifyEmail and ResendVerification: proving that an address is one's own."""

from __future__ import annotations

from datetime import datetime

from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import LinkUsed
from identity.domain.mails import MailKind
from identity.domain.notices import request_mail
from identity.domain.one_time_tokens import Purpose, check
from identity.domain.ports import Transaction, World


def verify_email(world: World, token: str, source: Source) -> tuple[str, datetime]:
    """Use up a mailed token; the address it proves, and when. Raises LinkNotFound, LinkUsed or LinkExpired."""
    now = world.clock()
    digest = world.secrets.digest(token)

    def prove(tx: Transaction) -> str:
        link = check(tx.one_time_tokens.get(digest, Purpose.VERIFY_EMAIL), now)
        # First the row of the account, as everybody does who changes both: so nobody waits in a circle.
        account = tx.accounts.verify_email(link.account_id, email=link.email, now=now)
        if account is None or tx.one_time_tokens.consume(digest, Purpose.VERIFY_EMAIL, now) is None:
            # Used a moment ago; or the account has another address by now, whose proof this link is not.
            raise LinkUsed(field="token")
        record(tx.audit, Event.EMAIL_VERIFIED, now, account_id=account.id, source=source)
        return link.email

    return world.database.write(prove), now


def resend_verification(world: World, email: str, locale: str | None, source: Source) -> None:
    """Ask for another verification mail; the same work and answer for every address (RC-03, Z-29)."""
    request_mail(world, MailKind.REQUEST_VERIFICATION, email, locale, source)
