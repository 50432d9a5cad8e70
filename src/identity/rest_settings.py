"""Settings of the REST container: what `identity rest` is told, and `identity serve` beside its own.

They stand apart from `settings` because the container runs without a database and without the master secret.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Dialect = Literal["", "none", "merchant", "mobile", "salon", "organization", "tenant"]


def is_loopback(host: str) -> bool:
    """Whether a host name or address leads to this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def leads_to_this_machine(target: str) -> bool:
    """Whether the address of a gRPC service is of this machine, where that is plain to see."""
    return target.startswith("unix:") or is_loopback(target.removeprefix("dns:///").rpartition(":")[0])


def origin_of(url: str) -> str:
    """The origin of a URL as browsers tell it: in lower case, without the port that its scheme has anyway.

    RFC 6454 §6.2. Raises ValueError for what is no URL.
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def is_host_and_port(value: str) -> bool:
    """Whether an address is HOST:PORT, with a port that there can be."""
    port = value.rpartition(":")[2]
    return ":" in value and port.isdecimal() and int(port) < 1 << 16


class RestSettings(BaseSettings):
    """What the HTTP door is told from outside. Every field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix="IDENTITY_", extra="ignore", frozen=True, hide_input_in_errors=True)

    rest_address: str = Field(
        "",
        description="`HOST:PORT` to serve HTTP on, e.g. `127.0.0.1:8080`. Without it `identity serve` serves none, and "
        "`identity rest` takes that example.",
    )
    rest_certificate: Path | None = Field(
        None, description="PEM file with the certificate chain for HTTP. Without it: plain HTTP."
    )
    rest_key: Path | None = Field(None, description="PEM file with the private key of that certificate.")
    rest_trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Networks, separated by commas, whose `X-Forwarded-For` is believed. Without it nobody's is, and "
        "plain HTTP is served to this machine only.",
    )
    upstream: str = Field(
        "127.0.0.1:50051",
        description="`HOST:PORT` or `unix:PATH` of the gRPC service; each address of a host is a replica.",
    )
    upstream_ca: Path | None = Field(
        None,
        description="PEM file with the authority that the gRPC service's certificate is from. Without it: plaintext, "
        "which is spoken to this machine only.",
    )
    upstream_certificate: Path | None = Field(
        None,
        description="PEM file with the certificate that the container shows to the gRPC service. Without it: none.",
    )
    upstream_key: Path | None = Field(None, description="PEM file with the private key of that certificate.")
    dialect: Dialect = Field(
        "",
        description="The product whose HTTP API is served beside the canonical one: `merchant`, `mobile`, `salon`, "
        "`organization`, `tenant` or `none`. Without it `identity serve` takes the preset's.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Other origins, separated by commas, whose pages may call: `https://app.example.org`. "
        "Without it: none.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8080",
        description="The base of the links in mails. Never taken from a request.",
    )
    product_name: str = Field("Identity", description="How mails and pages call the product.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    shutdown_seconds: float = Field(10, ge=0, le=300, description="How long calls may finish after SIGTERM.")

    @field_validator("rest_trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("rest_trusted_proxies")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in origin or any(parts[2:]):
                raise ValueError("an origin is a scheme and a host, as in https://app.example.org")
        return tuple(map(origin_of, value))

    @field_validator("public_url")
    @classmethod
    def _has_origin(cls, value: str) -> str:
        origin_of(value)
        return value

    @field_validator("rest_address")
    @classmethod
    def _rest_address(cls, value: str) -> str:
        if value and not is_host_and_port(value):
            raise ValueError("it is not HOST:PORT")
        return value

    @model_validator(mode="after")
    def _door_is_safe(self) -> Self:
        if (self.rest_certificate is None) != (self.rest_key is None):
            raise ValueError("IDENTITY_REST_CERTIFICATE and IDENTITY_REST_KEY go together: set both or none.")
        if (self.upstream_certificate is None) != (self.upstream_key is None):
            raise ValueError("IDENTITY_UPSTREAM_CERTIFICATE and IDENTITY_UPSTREAM_KEY go together: set both or none.")
        if self.rest_address and not (
            self.rest_certificate or self.rest_trusted_proxies or is_loopback(self.rest_host)
        ):
            raise ValueError(
                f"IDENTITY_REST_ADDRESS={self.rest_address} is not loopback, and without TLS everybody on the way "
                "could read passwords. Set IDENTITY_REST_CERTIFICATE and IDENTITY_REST_KEY, or name the proxies in "
                "front that speak TLS in IDENTITY_REST_TRUSTED_PROXIES, or serve on 127.0.0.1."
            )
        if self.upstream_ca is None and not leads_to_this_machine(self.upstream):
            raise ValueError(
                f"IDENTITY_UPSTREAM={self.upstream} is not loopback, and without TLS everybody on the way could read "
                "passwords. Set IDENTITY_UPSTREAM_CA to the authority that the service's certificate is from, or call "
                "it on 127.0.0.1 or unix:PATH."
            )
        return self

    @property
    def rest_host(self) -> str:
        """The host part of the HTTP address, without brackets."""
        return self.rest_address.rpartition(":")[0].strip("[]")

    @property
    def is_public(self) -> bool:
        """Whether people come from other machines: links in mails lead beyond this one."""
        return not is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies travel over TLS only; on this machine alone, browsers would drop them without TLS."""
        return self.is_public or self.rest_certificate is not None or self.public_url.lower().startswith("https:")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def _config_file() -> Path | None:
    name = os.environ.get("IDENTITY_CONFIG")
    if name and not Path(name).is_file():
        raise FileNotFoundError(2, "There is no such file", name)
    return Path(name) if name else None
