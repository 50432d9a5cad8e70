"""SetAccountStatus: disabling, enabling and unlocking."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from identity.domain.account.members import check_ours_alone, check_reach, hold_member, keep_an_administrator
from identity.domain.accounts import Account, AccountStatus
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.code_proof import code_budget
from identity.domain.errors import NotFound
from identity.domain.factors import FactorType
from identity.domain.password_proof import password_budget
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions
from identity.domain.tenant.get_tenant import active_tenant


class Action(StrEnum):
    """What an administrator does to an account's status."""

    DISABLE = "disable"
    ENABLE = "enable"
    UNLOCK = "unlock"


_EVENT = {
    Action.DISABLE: Event.ACCOUNT_DISABLED,
    Action.ENABLE: Event.ACCOUNT_ENABLED,
    Action.UNLOCK: Event.ACCOUNT_UNLOCKED,
}


def set_account_status(
    world: World, caller: Caller, account_id: UUID, action: Action, source: Source
) -> tuple[Account, int]:
    """Change an account's status; the account, and how many of its sessions ended. It can be repeated.

    Raises NotFound, PermissionDenied for oneself, for a higher level and for who belongs to another tenant too, or
    LastAdmin.
    """
    now = world.clock()

    def change(tx: Transaction) -> tuple[Account, int]:
        member = hold_member(world, tx, caller, account_id)
        check_reach(caller, member)
        check_ours_alone(tx, caller, member)
        ended = 0
        match action:
            case Action.DISABLE:
                tx.accounts.update(account_id, {"status": AccountStatus.DISABLED.value}, now)
                keep_an_administrator(world, tx, active_tenant(tx, caller))
                tx.challenges.discard(account_id, now)
                tx.one_time_tokens.discard(account_id, now)
                ended = len(end_sessions(world, tx, account_id, EndReason.ACCOUNT, now))
            case Action.ENABLE:
                if member.account.status is AccountStatus.DISABLED:
                    tx.accounts.update(account_id, {"status": AccountStatus.ACTIVE.value}, now)
            case Action.UNLOCK:
                unlock(world, tx, member.account)
        record(
            tx.audit,
            _EVENT[action],
            now,
            account_id=account_id,
            tenant_id=caller.tenant_id,
            source=source,
            by=str(caller.account_id),
        )
        account = tx.accounts.get(account_id)
        if account is None:
            raise NotFound(field="id")
        return account, ended

    return world.database.write(change)


def unlock(world: World, tx: Transaction, account: Account) -> None:
    """Forget every failure, and open what they locked."""
    tx.throttles.clear(password_budget(world, account.id))
    for kind in FactorType:
        tx.throttles.clear(code_budget(world, account, kind))
    tx.accounts.unlock(account.id)
