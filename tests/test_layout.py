"""What is imported is ours, files stay short, and a wheel holds everything that the service needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

import identity
import identity_pb

ROOT = Path(__file__).resolve().parents[1]
LONGEST = {"src": 300, "scripts": 300, "benchmarks": 300, "tests": 400}
LONGER = {
    # Each wants to be two files; this list only shrinks.
    "src/identity/domain/errors.py",
    "src/identity/rpc/convert.py",
    "src/identity/rpc/pipeline.py",
    "src/identity/server.py",
    "src/identity/store/tables.py",
    "tests/crypto/test_access_token_forgeries.py",
    "tests/crypto/test_lane.py",
    "tests/rpc/test_bounds.py",
    "tests/store/test_database.py",
    "tests/test_contract.py",
}
USE_IT = """
import identity, identity_pb.v1.auth_service_pb2, pathlib, tempfile
from identity.domain.mails import MailKind
from identity.mail.letters import LANGUAGES, write
from identity.presets import load_policy
from identity.store import migrate
assert load_policy("standard").name == "standard"
assert {"en", "fr", "nl"} <= LANGUAGES
assert write(MailKind.ACCOUNT_EXISTS, "fr", {"name": "Ada", "product_name": "Identity"}).language == "fr"
with tempfile.TemporaryDirectory() as place:
    assert migrate.upgrade(f"sqlite:///{place}/identity.db")
print(pathlib.Path(identity.__file__).parent, pathlib.Path(identity_pb.__file__).parent)
"""


def test_the_packages_are_ours() -> None:
    """Another distribution is called `identity` too, and would win over an editable installation of this one."""
    assert [Path(package.__file__ or "").parent for package in (identity, identity_pb)] == [
        ROOT / "src/identity",
        ROOT / "generated/identity_pb",
    ]


def test_an_editable_installation_works_from_anywhere(tmp_path: Path) -> None:
    assert _use_it(tmp_path) == f"{ROOT}/src/identity {ROOT}/generated/identity_pb"


def test_no_module_is_longer_than_a_reader_has_patience() -> None:
    too_long = {
        file.relative_to(ROOT).as_posix()
        for folder, limit in LONGEST.items()
        for file in ROOT.glob(f"{folder}/**/*.py")
        if len(file.read_text(encoding="utf-8").splitlines()) > limit
    }

    assert too_long - LONGER == set()


def test_every_package_says_what_it_is() -> None:
    silent = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "src").rglob("*.py")
        if not file.read_text(encoding="utf-8").startswith('"""') and "migrations/versions" not in file.as_posix()
    ]

    assert silent == []


def test_every_requirement_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {
        "requirements.txt": project["dependencies"],
        "requirements-rest.txt": [*project["dependencies"], *project["optional-dependencies"]["rest"]],
        "requirements-dev.txt": [*project["dependencies"], *chain(*project["optional-dependencies"].values())],
    }
    for name, requirements in asked.items():
        text = (ROOT / name).read_text()
        locked = {pin for pin, _ in re.findall(r"(?m)^([\w.-]+)(?:\[.+\])?==(\S+)", text)}
        unhashed = re.findall(r"(?m)^[\w.-]+==[^\\\n]*$", text)

        assert {re.split(r"[\[<>=;! ]", requirement)[0] for requirement in requirements} <= locked
        assert unhashed == []
        assert "://" not in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", place],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(place.glob("*.whl"))


def test_a_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}

    assert tops == {"identity", "identity_pb", f"identity_service-{identity.__version__}.dist-info"}
    tracked = subprocess.run(
        ["git", "ls-files", "src/identity", "generated/identity_pb"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {name.partition("/")[2] for name in tracked} <= names


def test_a_wheel_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    """Templates, presets and migrations included; beside the libraries, and before the editable installation."""
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
        capture_output=True,
    )

    assert _use_it(tmp_path, PYTHONPATH=str(site)) == f"{site}/identity {site}/identity_pb"


def _use_it(place: Path, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", USE_IT],
        cwd=place,
        env={**os.environ, **more},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()
