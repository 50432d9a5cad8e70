"""The commands about keys and the secret, and their help; `app.py` hangs them in."""

from __future__ import annotations

from typing import Annotated

import typer

keys_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""The keys that sign access tokens.

    A new key is made every 90 days by itself; nobody has to do anything. Replicas pick up what was changed here
    within 15 seconds, without a restart.

    \b
    identity keys list            which keys sign and which still count
    identity keys rotate          make the next key now
    identity keys rotate --now    a key may be known to others: drop it at once""",
)
service_key_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""The credentials that backends call with.

    A key has a name and scopes. It is shown once, when it is made; send it as `authorization: Bearer KEY`.

    \b
    token:introspect   ask what an access token means (IntrospectToken)
    session:watch      learn at once of sessions that end (WatchRevocations)
    reset:issue        get a reset token instead of having it mailed (RequestPasswordReset)""",
)


secret_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""The master secret, when it changes.

    Give every process the new secret in IDENTITY_SECRET and the old one in IDENTITY_OLD_SECRETS. With several replicas,
    first give all of them the new one in IDENTITY_OLD_SECRETS, so that each can read what the others make.

    \b
    identity secret status    what would be lost without the old secret
    identity secret reseal    seal keys, factors and push devices under the new one""",
)


@keys_app.command("list")
def list_keys() -> None:
    """List the signing keys: what each does now, and until when."""
    from identity.cli import keys

    keys.list_all()


@keys_app.command()
def rotate(
    now: Annotated[
        bool,
        typer.Option("--now", help="Sign with the new key at once and drop the others with every token they signed."),
    ] = False,
) -> None:
    """Make the next signing key.

    It is published 10 minutes before it signs, and the one before it counts for another day, so that nobody
    notices. With --now people's access tokens end at once; their clients get new ones by refreshing.
    """
    from identity.cli import keys

    keys.rotate(at_once=now)


@secret_app.command()
def status() -> None:
    """Say what would be lost without the old secrets."""
    from identity.cli import secret

    secret.status()


@secret_app.command()
def reseal() -> None:
    """Seal keys, factors and push devices under the new secret. Running servers need not stop."""
    from identity.cli import secret

    secret.reseal()


@service_key_app.command("create")
def create_service_key(
    name: Annotated[str, typer.Argument(help="What the backend is called.")],
    scope: Annotated[list[str], typer.Option(help="token:introspect, session:watch or reset:issue; repeat for more.")],
) -> None:
    """Make a key for a backend and print it, the only time it is seen.

    \b
    identity service-key create gateway --scope session:watch --scope token:introspect
    """
    from identity.cli import service_keys

    service_keys.create(name, scope)


@service_key_app.command("list")
def list_service_keys() -> None:
    """List the keys of backends and what each may do."""
    from identity.cli import service_keys

    service_keys.list_all()


@service_key_app.command("revoke")
def revoke_service_key(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """End a key. Running servers refuse it within two seconds."""
    from identity.cli import service_keys

    service_keys.revoke(name)
