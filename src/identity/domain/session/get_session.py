"""GetSession: who the caller is, where, and what they may do there."""

from __future__ import annotations

from identity.domain.callers import Caller
from identity.domain.errors import SessionRevoked
from identity.domain.places import described
from identity.domain.ports import World
from identity.domain.sessions import Place


def get_session(world: World, caller: Caller) -> Place:
    """The caller's session, account, tenant and membership. Raises SessionRevoked once it is over."""
    place = world.database.read(lambda tx: described(world, tx, caller.session_id))
    if place is None or not place.session.is_live(world.clock()):
        raise SessionRevoked()
    return place
