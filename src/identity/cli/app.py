"""The commands and their help."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from identity import __version__
from identity.cli.key_commands import keys_app, secret_app, service_key_app

# What gRPC's core says by itself is for its own developers; ours is in the log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

app = typer.Typer(
    name="identity",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Identity: accounts, sessions, second factors and invitations behind one gRPC contract.

    \b
    identity serve        start the service: SQLite in .identity, gRPC on 127.0.0.1:50051
    identity rest         start the HTTP container in front of a service
    identity demo         watch a throw-away service do everything, mails included
    identity check        find out what is wrong, in plain words

    Settings are variables of the environment, IDENTITY_…, or a TOML file that IDENTITY_CONFIG names.
    `identity settings` lists them; docs/settings.md is the same list.""",
)
app.add_typer(keys_app, name="keys")
app.add_typer(service_key_app, name="service-key")
app.add_typer(secret_app, name="secret")


def main() -> None:
    """Run the command line."""
    app(prog_name="identity")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"identity {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command()
def serve(
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes serve, each on a port of its own; PostgreSQL only.")
    ] = 1,
) -> None:
    """Start the service, and stop it with Ctrl+C or SIGTERM.

    An embedded SQLite is made and brought up to date by itself; with PostgreSQL, run `identity migrate` first.
    SIGTERM drains: not ready, calls in progress finish, exit 0. A second one stops at once.

    \b
    identity serve
    IDENTITY_GRPC_ADDRESS=unix:/run/identity.sock identity serve
    IDENTITY_DATABASE_URL=postgresql://identity@db/identity IDENTITY_SECRET=… identity serve
    IDENTITY_MAIL_URL=smtp://relay.internal:587 identity serve
    identity serve --workers 4        on ports 50051 to 50054
    """
    from identity.cli.output import plain_errors
    from identity.settings import load_settings

    with plain_errors():
        settings = load_settings()
        from identity.cli import serve  # slow, and for nothing if the settings are refused
        from identity.cli import workers as several

        if workers > 1:
            several.run(settings, workers)
        else:
            serve.run(settings)


@app.command()
def rest(
    upstream: Annotated[str, typer.Option(help="HOST:PORT or unix:PATH of the gRPC service.")] = "",
    address: Annotated[str, typer.Option(help="HOST:PORT to serve HTTP on.")] = "",
    dialect: Annotated[
        str, typer.Option(help="Also speak a product's HTTP API: merchant, mobile, salon, organization or tenant.")
    ] = "",
) -> None:
    """Start the HTTP container in front of a gRPC service: the contract as REST, and a product's own dialect.

    It needs neither the database nor the secret. Options win over IDENTITY_UPSTREAM, IDENTITY_REST_ADDRESS and
    IDENTITY_DIALECT. With IDENTITY_REST_ADDRESS, `identity serve` brings the same doors without a second process.

    \b
    identity rest
    identity rest --upstream unix:/run/identity.sock --dialect salon
    IDENTITY_UPSTREAM_CA=ca.pem identity rest --upstream 10.0.0.5:50051
    """
    from identity.cli.output import plain_errors
    from identity.settings import load_rest_settings

    with plain_errors():
        given = {"upstream": upstream, "rest_address": address, "dialect": dialect}
        settings = load_rest_settings(**{name: value for name, value in given.items() if value})
        if not settings.rest_address:
            settings = settings.model_copy(update={"rest_address": "127.0.0.1:8080"})
        from identity.cli import rest  # slow, and for nothing if the settings are refused

        rest.run(settings)


@app.command()
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if there is something to do.")] = False,
) -> None:
    """Bring the schema of the database up to date.

    It can run while the release before this one still serves.

    \b
    identity migrate --check && echo "nothing to do"
    identity migrate
    """
    from identity.cli import migrate

    migrate.run(check_only=check)


@app.command("end-sessions")
def end_sessions(
    yes: Annotated[bool, typer.Option("--yes", help="Really do it.")] = False,
) -> None:
    """End every session of everybody. For the hour after a restore: what had ended since the backup is not known.

    Access tokens of sessions that the restored database has never seen end with the key that signed them.

    \b
    identity keys rotate --now
    identity end-sessions --yes
    """
    from identity.cli import end_sessions

    end_sessions.run(sure=yes)


@app.command()
def audit(
    account: Annotated[str, typer.Option(help="Only events of this account: its id.")] = "",
    event: Annotated[str, typer.Option(help="Only events of this kind, such as signed_in.")] = "",
    hours: Annotated[float, typer.Option(help="How far to look back.")] = 24.0,
    limit: Annotated[int, typer.Option(help="How many events at most, the newest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Read the journal: who did what, with what factor, from where.

    \b
    identity audit --hours 1
    identity audit --event sign_in_failed --json
    """
    from identity.cli import audit

    audit.run(account=account, event=event, hours=hours, limit=limit, as_json=as_json)


@app.command()
def check() -> None:
    """Find out what is wrong, in plain words.

    Reads the settings, connects to the database and the mail relay, measures the cost of a password hash, and
    changes no data. Exit 1 if something has to be mended; what is only worth a look does not count.
    """
    from identity.cli import check

    check.run()


@app.command()
def settings() -> None:
    """List every setting, its default and its meaning."""
    from identity.cli import settings

    settings.run()


@app.command()
def health(
    address: Annotated[
        str,
        typer.Option(
            help="HOST:PORT, unix:PATH, or http://HOST:PORT of a container. Without it: where the settings say."
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 3.0,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file to show where client certificates are asked for.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with its private key.")] = None,
) -> None:
    """Ask a running service whether it is ready.

    Exit 0 if it is. Made for the health checks of containers. Where IDENTITY_TLS_CLIENT_CA asks for client
    certificates, the service's own is shown unless another is given.

    \b
    identity health
    identity health --address 127.0.0.1:50051
    identity health --address http://127.0.0.1:8080
    identity health --certificate client.pem --key client-key.pem
    """
    from identity.cli import health

    health.run(address, timeout, certificate, key)


@app.command()
def demo() -> None:
    """Watch a throw-away service do everything.

    A real client walks the whole road, mails included. Everything lives in a temporary directory; your
    settings and data are not touched. Exit 0 if every step held.
    """
    from identity.cli.output import plain_errors
    from identity.demo import run

    with plain_errors():
        raise typer.Exit(run())
