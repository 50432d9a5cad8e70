"""DeleteAccount: a person leaves, and what is known of them goes; the audit keeps the bare id."""

from __future__ import annotations

from uuid import UUID

from identity.domain.account.members import check_reach, hold_member, keep_an_administrator
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions
from identity.domain.tenant.get_tenant import active_tenant


def delete_account(world: World, caller: Caller, account_id: UUID, source: Source) -> bool:
    """Erase an account; one that belongs to other tenants too only leaves this one. Whether it is erased.

    Raises NotFound, PermissionDenied for oneself and for a higher level, or LastAdmin.
    """
    now = world.clock()

    def delete(tx: Transaction) -> bool:
        member = hold_member(world, tx, caller, account_id)
        check_reach(caller, member)
        tenant = active_tenant(tx, caller)
        end_sessions(world, tx, account_id, EndReason.ACCOUNT, now)
        tx.tenants.remove_membership(account_id, tenant.id)
        keep_an_administrator(world, tx, tenant)
        leaves = bool(tx.tenants.memberships(account_id))
        if not leaves:
            for recipient in filter(None, (member.account.email, member.account.phone)):
                tx.outbox.forget(recipient)
            if member.account.email is not None:
                tx.invites.forget(member.account.email)
            tx.invites.forget_inviter(account_id)
            tx.accounts.remove(account_id)
        record(
            tx.audit,
            Event.MEMBER_REMOVED if leaves else Event.ACCOUNT_DELETED,
            now,
            account_id=account_id,
            tenant_id=tenant.id,
            source=source,
            by=str(caller.account_id),
        )
        return not leaves

    return world.database.write(delete)
