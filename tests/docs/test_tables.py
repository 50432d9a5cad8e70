"""The tables of docs/errors.md and docs/settings.md are complete and say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.docs.pages import ROOT, text_of

from identity.rest_settings import RestSettings
from identity.rpc.errors import CODES
from identity.settings import Settings, load_settings
from identity.telemetry.families import FAMILIES, Kind
from identity_pb.v1.error_reason_pb2 import ErrorReason

ERRORS = dict(re.findall(r"(?m)^\| `([A-Z_]+)` \| `([A-Z_]+)` \| .+ \|$", text_of("docs/errors.md")))
SETTINGS = {
    name: (default, meaning)
    for name, default, meaning in re.findall(
        r"(?m)^\| `(IDENTITY_\w+)` \| (.*?) \| (.+) \|$", text_of("docs/settings.md")
    )
}


def test_every_reason_of_the_contract_is_there_with_its_code() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118

    assert {reason: CODES[reason].name for reason in reasons} == ERRORS


def test_every_setting_is_there_with_its_description() -> None:
    described = {f"IDENTITY_{name.upper()}": field.description for name, field in Settings.model_fields.items()}

    told = {name: meaning for name, (_, meaning) in SETTINGS.items() if name != "IDENTITY_CONFIG"}
    assert described == told


def test_what_the_container_reads_by_itself_is_between_those_that_are_named() -> None:
    named = re.findall(r"from `(IDENTITY_\w+)` to `(IDENTITY_\w+)` and no others", text_of("docs/settings.md"))
    reads = [f"IDENTITY_{name.upper()}" for name in RestSettings.model_fields]

    assert named == [(reads[0], reads[-1])]
    assert [name for name in SETTINGS if name in reads] == list(SETTINGS)[1 : len(reads) + 1] == reads


def test_defaults_are_the_codes_own() -> None:
    """Each default that the page gives, if somebody sets it, changes nothing."""
    given = {_field(name): default.strip("`") for name, (default, _) in SETTINGS.items() if default}

    assert load_settings(**given) == load_settings()


def test_a_setting_without_a_default_says_what_happens_without_it() -> None:
    silent = [
        name
        for name, (default, meaning) in SETTINGS.items()
        if not default and "ithout" not in meaning and name not in OPTIONAL
    ]

    assert silent == []


OPTIONAL = {
    "IDENTITY_CONFIG",  # no file, no more settings
    "IDENTITY_SECRET",  # says so at length
    "IDENTITY_TLS_CERTIFICATE",  # no TLS, which is refused where it matters
    "IDENTITY_TLS_KEY",
    "IDENTITY_REST_KEY",
    "IDENTITY_UPSTREAM_KEY",
    "IDENTITY_POLICY",  # the preset as it is
}


def test_every_metric_is_there_with_its_labels() -> None:
    """A test of tests/telemetry compares the same list with what is scraped."""
    told = re.findall(r"(?m)^\| `(identity_\w+)` \| (\w+) \| (.*?) \| .+ \|$", text_of("docs/operations.md"))

    counter = {family.name: "_total" if family.kind is Kind.COUNTER else "" for family in FAMILIES}
    assert [(f.name + counter[f.name], f.kind.value, ", ".join(f.labels)) for f in FAMILIES] == told


def test_every_event_of_the_log_that_is_told_of_is_logged_somewhere() -> None:
    events = re.findall(r"(?m)^\| `([a-z: ]+)` \| (?:info|warning|error) \|", text_of("docs/operations.md"))
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))

    assert len(events) > 10
    assert [event for event in events if f'"{event}"' not in code] == []


def test_the_tables_are_as_make_generate_writes_them() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/tables.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def _field(variable: str) -> str:
    return variable.removeprefix("IDENTITY_").lower()
