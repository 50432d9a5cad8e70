"""GetSetupStatus and Setup: the first run, which is open once and closed for ever (AZ-06)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from identity.domain.accounts import NewAccount, PersonName
from identity.domain.audit import Event, record
from identity.domain.errors import BootstrapSecretInvalid, EmailTaken, InvalidRequest, SetupDone
from identity.domain.ids import new_id
from identity.domain.password_rules import check_password, context_words
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.sign_in import Client, SignedIn, accept, issue_tokens, open_session
from identity.domain.tenants import NewMembership, NewTenant, add_tenant, slugify

HOURS = "opening_hours"
"""The attribute under which a tenant keeps its opening hours; nobody writes it but by its own field."""


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """One day's hours: `day_of_week` 0 (Sunday) to 6, times as HH:MM, absent on a closed day."""

    day_of_week: int
    open_time: str | None
    close_time: str | None
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The first administrator and the first tenant."""

    email: str
    password: str = field(repr=False)
    name: PersonName
    locale: str
    tenant_name: str
    tenant_kind: str | None = None
    tenant_email: str | None = None
    tenant_phone: str | None = None
    tenant_address: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    opening_hours: tuple[OpeningHours, ...] = ()
    bootstrap_secret: str = field(default="", repr=False)
    client: Client = Client()


def needs_setup(world: World) -> bool:
    """Whether nobody has completed the first run yet; never a count of anything (N-24)."""
    return not world.database.read(lambda tx: tx.deployment.is_set_up())


def set_up(world: World, wish: FirstRun) -> SignedIn:
    """Create the first administrator and tenant, and sign the administrator in.

    From anywhere but the machine itself the bootstrap secret is asked for, which stands on the
    server's console. Raises SetupDone, BootstrapSecretInvalid, InvalidRequest or what a password is refused for.
    """
    if not needs_setup(world):
        raise SetupDone()
    if wish.client.source.address is not None and not hmac.compare_digest(
        wish.bootstrap_secret.encode(), world.bootstrap_secret.encode()
    ):
        raise BootstrapSecretInvalid(field="bootstrap_secret")
    attributes = checked_attributes(wish.attributes)
    hours = checked_hours(wish.opening_hours)
    check_password(world, wish.password, words=context_words(wish.email, wish.name, wish.tenant_name), field="password")
    password_hash = world.passwords.hash(wish.password)
    now = world.clock()

    def complete(tx: Transaction) -> Place:
        if not tx.deployment.complete_setup(now):
            raise SetupDone()
        account = tx.accounts.add(
            NewAccount(
                id=new_id(now),
                email=wish.email,
                phone=None,
                first_name=wish.name.first,
                last_name=wish.name.last,
                name=wish.name.display,
                locale=wish.locale or world.policy.locale,
                role=world.policy.setup_role,
                password_hash=password_hash,
                created_at=now,
                # Whoever holds the console has nobody above to prove an address to.
                email_verified_at=now,
            )
        )
        if account is None:
            raise EmailTaken(field="email")
        tenant = add_tenant(
            tx.tenants,
            NewTenant(
                id=new_id(now),
                kind=wish.tenant_kind or world.policy.setup_tenant_kind,
                slug=slugify(wish.tenant_name),
                name=wish.tenant_name,
                email=wish.tenant_email,
                phone=wish.tenant_phone,
                address=wish.tenant_address,
                attributes={**attributes, **({HOURS: hours} if hours else {})},
                created_at=now,
            ),
        )
        membership = tx.tenants.add_membership(NewMembership(account.id, tenant.id, world.policy.setup_role, now))
        record(
            tx.audit, Event.SETUP_COMPLETED, now, account_id=account.id, tenant_id=tenant.id, source=wish.client.source
        )
        return accept(open_session(world, tx, account, tenant, membership, amr=("pwd",), client=wish.client, now=now))

    return issue_tokens(world, world.database.write(complete), now)


def checked_hours(week: tuple[OpeningHours, ...], *, field: str = "opening_hours") -> list[dict[str, object]]:
    """The opening hours as attributes. Closing before opening means the next day.

    Raises InvalidRequest naming the day that opens and closes at the same minute.
    """
    for index, day in enumerate(week):
        if not day.is_closed and day.open_time == day.close_time:
            where = f"{field}[{index}].close_time"
            raise InvalidRequest("A day cannot open and close at the same minute.", field=where)
    return [asdict(day) for day in week]


def checked_attributes(attributes: Mapping[str, object], *, field: str = "attributes") -> Mapping[str, object]:
    """What a product keeps beside. Raises InvalidRequest where that would pass for opening hours."""
    if HOURS in attributes:
        raise InvalidRequest("Opening hours have a field of their own.", field=field)
    return attributes
