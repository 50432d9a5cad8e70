"""`identity migrate`: the schema, brought up to date or looked at."""

from __future__ import annotations

import typer

from identity.cli.output import OUTSIDE, out, plain_errors, settings_at_fault
from identity.settings import load_settings
from identity.store import migrate


def run(*, check_only: bool) -> None:
    """Take the missing steps, or only name them."""
    with plain_errors(), settings_at_fault():
        settings = load_settings()
        if check_only:
            missing = migrate.pending(settings.database)
            if missing:
                out.print(f"{len(missing)} step(s) to take: {', '.join(missing)}. Run: identity migrate")
                raise typer.Exit(OUTSIDE)
            out.print("The schema is up to date.")
            return
        if settings.is_embedded:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = migrate.upgrade(settings.database)
        out.print(f"Took {len(taken)} step(s): {', '.join(taken)}." if taken else "The schema was up to date.")
