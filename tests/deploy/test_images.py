"""The images and what puts them together: linted, complete, and set as the code knows its settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity.rest_settings import RestSettings
from identity.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
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


def test_compose_mounts_what_exists_or_what_the_script_makes(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["sh", ROOT / "deploy/certificates.sh", tmp_path / "tls"], check=True, capture_output=True)
    made = {path.name for path in (tmp_path / "tls").iterdir()}
    text = (ROOT / "deploy/compose.yaml").read_text() + (ROOT / "deploy/envoy.yaml").read_text()

    assert set(re.findall(r"/?tls/([\w-]+\.pem)", text)) <= made
    assert (tmp_path / "tls/ca-key.pem").stat().st_mode & 0o077 == 0
    for volume in (volume for each in COMPOSE["services"].values() for volume in each.get("volumes", [])):
        source = volume.partition(":")[0]
        assert not source.startswith(".") or source == "./tls" or (ROOT / "deploy" / source).exists()
