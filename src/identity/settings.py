"""Settings: every variable the service reads, and what is refused as unsafe.

Values come from `IDENTITY_…` in the environment or from the TOML file that `IDENTITY_CONFIG` names;
the environment wins. The file may also hold a `[policy]` table that is laid over the preset.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict, SettingsError

from identity.rest_settings import Dialect, RestSettings, is_host_and_port, is_loopback

LOWEST_COST = 10
SHORTEST_SECRET = 32
S = TypeVar("S", bound=RestSettings)
_MAKE_A_SECRET = "Make one with: openssl rand -base64 48"


class SettingsInvalid(ValueError):
    """The settings are wrong or unsafe; the message says what to change."""


class Settings(RestSettings):
    """What one process is told from outside. Every field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix="IDENTITY_", extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        Path(".identity"), description="Where the embedded database and a generated secret are kept."
    )
    database_url: str = Field(
        "", description="`sqlite:///FILE` or `postgresql://…`. Without it: `identity.db` in the data directory."
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="The master key, at least 32 characters. With SQLite it is generated in the data directory "
        "(mode 0600); with PostgreSQL it is required.",
    )
    old_secrets: SecretStr = Field(
        SecretStr(""),
        description="Other secrets, separated by commas, that what they made can still be read with. "
        "Without it: none. `identity secret` says what still needs them.",
    )
    grpc_address: str = Field(
        "127.0.0.1:50051",
        description="`HOST:PORT` or `unix:PATH` to serve gRPC on. Plaintext only on loopback or a Unix socket.",
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the certificate chain for gRPC.")
    tls_key: Path | None = Field(None, description="PEM file with the private key of the certificate.")
    tls_client_ca: Path | None = Field(
        None,
        description="PEM file with the authorities that sign client certificates; a client without one is not let in. "
        "Without it: nobody is asked for a certificate.",
    )
    reflection: bool | None = Field(
        None, description="Whether gRPC reflection answers. Without it: on loopback yes, elsewhere no."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.0/8", "::1/128", "unix"),
        description="Networks, separated by commas, whose `x-client-ip` metadata is believed; "
        "`unix` stands for Unix sockets.",
    )
    preset: str = Field("standard", description="The policy to start from: a file of `src/identity/presets`.")
    policy: dict[str, Any] = Field(
        default_factory=dict, description="Keys laid over the preset; a table of the configuration file."
    )
    issuer: str = Field("", description="The `iss` of access tokens. Without it: the preset's, or the public URL.")
    audience: str = Field("", description="The `aud` of access tokens. Without it: the preset's.")
    signing_algorithm: Literal["ES256", "EdDSA"] = Field("ES256", description="How new signing keys sign.")
    mail_url: str = Field(
        "console://", description="`console://`, `file:///DIR`, `smtp://USER:PASSWORD@HOST:PORT` or `smtps://…`."
    )
    sms_url: str = Field(
        "console://",
        description="Where codes go for people with a phone number and no e-mail address: `console://`, or a webhook "
        "`https://SECRET@HOST/PATH`; plain `http://` on loopback only.",
    )
    mail_from: str = Field("no-reply@localhost", description="The address that mails come from.")
    bcrypt_cost: int = Field(
        11, ge=LOWEST_COST, le=16, description="The cost of a password hash; each step doubles it. The floor is 10."
    )
    hashing_threads: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 2) - 1),
        ge=1,
        le=64,
        description="How many passwords are hashed at the same time; each keeps one core busy. "
        "Without it: one less than the cores.",
    )
    hashing_queue: int = Field(
        16, ge=1, le=4096, description="How many sign-ins may wait for a hash before more are refused."
    )
    threads: int = Field(16, ge=1, le=256, description="How many calls run in threads at the same time.")
    database_pool: int = Field(
        16,
        ge=2,
        le=200,
        description="How many PostgreSQL connections a process opens at most, half of them to read.",
    )
    metrics_address: str = Field(
        "",
        description="`HOST:PORT` to serve Prometheus metrics on, in plaintext and to whoever asks: in a network that "
        "you trust, and never the public one. Without it: none are kept.",
    )
    otlp_endpoint: str = Field(
        "",
        description="`http://HOST:PORT` or `https://…` of a collector that takes OpenTelemetry traces over gRPC; needs "
        "the extra `otel`. Without it: none are made.",
    )
    log_slow_seconds: float = Field(
        0.5, ge=0, description="A unit of work of the database that takes longer is logged, with the id of its request."
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            if network != "unix":
                ipaddress.ip_network(network)
        return value

    @field_validator("grpc_address")
    @classmethod
    def _address(cls, value: str) -> str:
        # gRPC would take the remainder of a port that is too large, and a host without a port for a service's name.
        if not value.startswith("unix:") and not is_host_and_port(value):
            raise ValueError("it is neither HOST:PORT nor unix:PATH")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        scheme, _, place = value.partition("://")
        if value and not (scheme in ("http", "https") and is_host_and_port(place.rstrip("/"))):
            raise ValueError("it is neither http://HOST:PORT nor https://HOST:PORT")
        return value

    @field_validator("metrics_address")
    @classmethod
    def _metrics_address(cls, value: str) -> str:
        if value and not is_host_and_port(value):
            raise ValueError("it is not HOST:PORT")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.database.startswith(("sqlite:", "postgresql", "postgres:")):
            raise ValueError("IDENTITY_DATABASE_URL begins with neither sqlite:/// nor postgresql://.")
        given = self.secret.get_secret_value()
        if given and len(given) < SHORTEST_SECRET:
            raise ValueError(f"IDENTITY_SECRET needs at least {SHORTEST_SECRET} characters. {_MAKE_A_SECRET}")
        if any(len(old) < SHORTEST_SECRET for old in self.other_secrets()):
            raise ValueError(f"IDENTITY_OLD_SECRETS holds one of less than {SHORTEST_SECRET} characters.")
        if not given and not self.is_embedded:
            raise ValueError(
                f"IDENTITY_SECRET is required with PostgreSQL, the same for every replica. {_MAKE_A_SECRET}"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("IDENTITY_TLS_CERTIFICATE and IDENTITY_TLS_KEY go together: set both or none.")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("IDENTITY_TLS_CLIENT_CA needs IDENTITY_TLS_CERTIFICATE and IDENTITY_TLS_KEY beside it.")
        if self.tls_certificate is None and not self.is_local:
            raise ValueError(
                f"IDENTITY_GRPC_ADDRESS={self.grpc_address} is not loopback, and without TLS everybody on the way "
                "could read passwords. Set IDENTITY_TLS_CERTIFICATE and IDENTITY_TLS_KEY, or serve on 127.0.0.1 "
                "or unix:PATH."
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the gRPC address."""
        if self.grpc_address.startswith("unix:"):
            return True
        return is_loopback(self.grpc_address.rpartition(":")[0])

    @property
    def mounted_dialect(self) -> str:
        """The dialect that is served beside the service: the preset's own, unless another one is asked for."""
        if self.dialect:
            return self.dialect
        return self.preset if self.preset in get_args(Dialect) else "none"

    @property
    def database(self) -> str:
        """The database's URL, the embedded one's included."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'identity.db').absolute()}"

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file that this process may migrate by itself."""
        return self.database.startswith("sqlite:")

    def other_secrets(self) -> tuple[str, ...]:
        """The secrets before this one, or the next one that other replicas use already."""
        return tuple(filter(None, self.old_secrets.get_secret_value().split(",")))

    def master_secret(self) -> str:
        """The master key; generated once, in the data directory, where the database is embedded."""
        if given := self.secret.get_secret_value():
            return given
        path = self.data_dir / "secret"
        try:
            if not path.exists():
                _write_once(path, secrets.token_urlsafe(48))
            return path.read_text().strip()
        except OSError as error:
            raise SettingsInvalid(
                f"The secret in the data directory {self.data_dir} cannot be kept: {error.strerror}. "
                "Set IDENTITY_DATA_DIR to a directory that this user may write."
            ) from None


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsInvalid with every fault and what to change."""
    return _load(Settings, overrides)


def load_rest_settings(**overrides: Any) -> RestSettings:
    """The settings of a container by itself, which needs no other. Raises SettingsInvalid likewise."""
    return _load(RestSettings, overrides)


def _load(kind: type[S], overrides: dict[str, Any]) -> S:
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_explain(fault) for fault in error.errors(include_input=False))) from None
    except SettingsError as error:
        # It names the setting, and not what stands in it.
        raise SettingsInvalid(f"{error}. It has to be JSON; a table of the configuration file is easier.") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"IDENTITY_CONFIG={os.environ.get('IDENTITY_CONFIG')} cannot be read: {error}") from None


def _explain(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    name = "IDENTITY_" + "_".join(str(part) for part in fault["loc"]).upper()
    return f"{name}: {message}."


def _write_once(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; whoever is first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
