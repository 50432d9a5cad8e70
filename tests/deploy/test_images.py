"""The images and what puts them together: linted, complete, and set as the code knows its settings."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.pages import blocks

from identity.rest_settings import RestSettings
from identity.settings import Settings, load_rest_settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
SHELL = [command for block in blocks("sh") if block.page == "docs/deploy.md" for command in block.commands]
RUNS = [shlex.split(command) for command in SHELL if command.startswith("docker run ")]
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def test_the_dockerfile_follows_the_rules_of_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this platform")

    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_every_target_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    stages = dict(re.findall(r"(?ms)^FROM \S+ AS (\w+)$(.*?)(?=^FROM |\Z)", DOCKERFILE))

    assert {"service", "rest"} <= set(stages)
    assert "USER 10001" in stages["base"]
    for target in ("service", "rest"):
        assert "HEALTHCHECK" in stages[target]
        assert "USER" not in stages[target]


def test_what_is_copied_is_there_and_is_let_into_the_build() -> None:
    sources = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE)
    let_in = [
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]

    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert any(source == path or source.startswith(f"{path}/") for path in let_in)


def test_what_is_copied_is_enough_to_run(tmp_path: Path) -> None:
    """The steps of the image after its requirements, replayed: the two packages in a directory, and nothing else."""
    app = tmp_path / "app"
    for source, target in re.findall(r"(?m)^COPY (\S+) /opt/identity/app/(\S+)$", DOCKERFILE):
        shutil.copytree(ROOT / source, app / target)
    shutil.copy(ROOT / "deploy/identity", tmp_path / "identity")
    script = (tmp_path / "identity").read_text().replace("/opt/identity/bin/python", sys.executable)
    (tmp_path / "identity").write_text(script)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(tmp_path / "identity"), *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(app),
                "PYTHONSAFEPATH": "1",
                "IDENTITY_DATA_DIR": str(tmp_path / "data"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("--version").stdout.startswith("identity ")
    assert run("check").returncode == 0, run("check").stdout
    assert run("rest", "--help").returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_compose_sets_what_is_a_setting_and_keeps_the_root_read_only(name: str) -> None:
    service = OURS[name]
    known = {f"IDENTITY_{field.upper()}" for field in (Settings if name != "rest" else RestSettings).model_fields}

    assert set(service["environment"]) <= known
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["build"]["target"] in ("service", "rest")


def test_compose_mounts_what_exists_or_what_the_script_makes(prepared: Path) -> None:
    made = {f"./tls/{path.name}" for path in (prepared / "tls").iterdir()}
    text = (ROOT / "deploy/envoy.yaml").read_text()
    mounted = [volume for each in COMPOSE["services"].values() for volume in each.get("volumes", [])]

    assert {f"./tls/{name}" for name in re.findall(r" tls/([\w-]+\.pem)", text)} <= made
    for source, target, _ in (volume.split(":") for volume in mounted if volume.startswith(".")):
        assert source in made or (ROOT / "deploy" / source).exists()
        assert Path(source).name == Path(target).name
    assert not any("ca-key.pem" in volume or volume.startswith("./tls:") for volume in mounted)


def test_keys_are_read_by_those_who_run_and_by_nobody_else(prepared: Path) -> None:
    """Containers without capabilities read what their user may read, as any process does."""
    tls = prepared / "tls"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tls.iterdir()}
    owner = tls.joinpath("service-key.pem").stat()
    uid, gid = (10001, 10001) if os.getuid() == 0 else (os.getuid(), os.getgid())

    assert stat.S_IMODE(tls.stat().st_mode) == 0o755
    assert modes == {name: 0o600 if name.endswith("-key.pem") else 0o644 for name in modes}
    assert (owner.st_uid, owner.st_gid) == (uid, gid)
    assert _environment(prepared / ".env")["RUN_AS"] == f"{uid}:{gid}"
    for service in COMPOSE["services"].values():
        reads_keys = any("-key.pem" in volume for volume in service.get("volumes", []))
        assert service.get("user") == ("${RUN_AS:?}" if reads_keys else None)


def test_what_was_prepared_stays(prepared: Path) -> None:
    """A database that is kept opens with the secret and the password of the first day only."""
    before = {path: path.read_bytes() for path in [prepared / ".env", *(prepared / "tls").iterdir()]}

    _prepare(prepared)

    assert {path: path.read_bytes() for path in before} == before
    assert stat.S_IMODE((prepared / ".env").stat().st_mode) == 0o600


def test_compose_asks_for_nothing_but_what_was_prepared(prepared: Path) -> None:
    required = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "deploy/compose.yaml").read_text()))

    assert required == set(_environment(prepared / ".env"))
    assert len(_environment(prepared / ".env")["IDENTITY_SECRET"]) == 64
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/tls/", "deploy/.env"} <= set(ignored)


def test_LG_04_compose_believes_single_addresses_that_it_gives_away_itself() -> None:
    (network,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    fixed = {
        name: networks["inside"]["ipv4_address"]
        for name, each in COMPOSE["services"].items()
        if isinstance(networks := each.get("networks"), dict)
    }
    service = Settings.model_validate({"trusted_proxies": OURS["identity"]["environment"]["IDENTITY_TRUSTED_PROXIES"]})

    assert set(service.trusted_proxies) == {fixed["rest"], fixed["envoy"]}
    assert OURS["rest"]["environment"]["IDENTITY_REST_TRUSTED_PROXIES"] == network["gateway"]
    for address in map(ip_address, [*fixed.values(), network["gateway"]]):
        assert address in ip_network(network["subnet"])
        assert address not in ip_network(network["ip_range"])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run[-1])
def test_the_runs_that_are_documented_listen_where_their_port_leads(
    run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(variable.split("=", 1) for variable in _values(run, "--env"))
    for name in [name for name in os.environ if name.startswith("IDENTITY_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings() if run[-1] == "identity" else load_rest_settings()
    (port,) = _values(run, "--publish")

    assert set(given) <= {f"IDENTITY_{field.upper()}" for field in type(settings).model_fields}
    assert settings.rest_address == f"0.0.0.0:{port.rpartition(':')[2]}"
    assert "--read-only" in run


def test_every_image_has_a_documented_run() -> None:
    tags = {
        tag for command in SHELL if command.startswith("docker build") for tag in _values(shlex.split(command), "--tag")
    }

    assert {run[-1] for run in RUNS} == tags == {"identity", "identity-rest"}


def test_AZ_06_LG_04_the_documented_proxy_says_who_calls_and_by_which_name() -> None:
    """Without these, everybody looks as if they were at this machine."""
    (nginx,) = [block.text for block in blocks("") if block.page == "docs/deploy.md" and "proxy_pass" in block.text]
    told = dict(re.findall(r"(?m)^ +proxy_set_header (\S+) (\S+);$", nginx))

    assert told == {"Host": "$host", "X-Forwarded-For": "$proxy_add_x_forwarded_for"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/ in which its script was run, by somebody who lets others read nothing."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("deploy")
    for script in ("prepare.sh", "certificates.sh"):
        shutil.copy(ROOT / "deploy" / script, place)
    _prepare(place)
    return place


def _prepare(place: Path) -> None:
    subprocess.run([place / "prepare.sh"], check=True, capture_output=True, umask=0o077)


def _environment(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def _values(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]
