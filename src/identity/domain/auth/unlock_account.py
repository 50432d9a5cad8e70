"""UnlockAccount: the way out of a lock, by mail."""

from __future__ import annotations

from identity.domain.account.set_status import unlock
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import LinkUsed
from identity.domain.one_time_tokens import Purpose, check
from identity.domain.ports import Transaction, World


def unlock_account(world: World, token: str, source: Source) -> None:
    """Forget an account's failures with a mailed token; nobody is signed in by it.

    Raises LinkNotFound, LinkUsed or LinkExpired.
    """
    now = world.clock()
    digest = world.secrets.digest(token)

    def settle(tx: Transaction) -> None:
        link = check(tx.one_time_tokens.get(digest, Purpose.UNLOCK_ACCOUNT), now)
        # First the row of the account, as everybody does who changes both: so nobody waits in a circle.
        account = tx.accounts.hold(link.account_id)
        if account is None or tx.one_time_tokens.consume(digest, Purpose.UNLOCK_ACCOUNT, now) is None:
            raise LinkUsed(field="token")
        unlock(world, tx, account)
        record(tx.audit, Event.ACCOUNT_UNLOCKED, now, account_id=account.id, source=source)

    world.database.write(settle)
