"""`identity end-sessions`: everybody signs in anew."""

from __future__ import annotations

from identity.cli.output import fail, out, plain_errors, settings_at_fault
from identity.domain.session.end_every_session import end_every_session
from identity.server import Service
from identity.settings import load_settings
from identity.store import migrate


def run(*, sure: bool) -> None:
    """End every session of everybody, if that is really meant."""
    if not sure:
        fail("Everybody would have to sign in again. If you mean it: identity end-sessions --yes")
    with plain_errors():
        settings = load_settings()
        if migrate.pending(settings.database):
            fail("The database's schema is behind this version. Run: identity migrate")
        with settings_at_fault():
            service = Service(settings)
        try:
            ended = end_every_session(service.world)
        finally:
            service.close()
    out.print(f"Ended: {ended}. Running servers refuse their tokens within a second.")
