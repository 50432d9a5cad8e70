"""What the pages show works: commands and Python run, pieces of code are the code's own."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.docs.pages import PAGES, ROOT, Block, blocks
from tests.mailbox import Mailbox
from tests.running import running

from identity.presets import load_policy
from identity.settings import load_settings

TARGETS = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
SHELL = blocks("sh")
RUNS = [block for block in blocks("sh", "python") if not block.source and not block.excuse]
PAGES_THAT_RUN = {page: list(group) for page, group in groupby(RUNS, key=lambda block: block.page)}


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {block.language for block in blocks()}

    assert kinds <= {"", "sh", "python", "toml"}


@pytest.mark.parametrize("page", PAGES_THAT_RUN)
async def test_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path, mailbox: Mailbox) -> None:
    """Against one service, in the order in which somebody would follow it."""
    preset, clock = _preset(page), ManualClock(datetime.now(UTC))  # curl knows until when cookies live
    async with running(
        tmp_path / "service", mailbox, clock=clock, preset=preset, rest_address="127.0.0.1:0"
    ) as started:
        service = started.service
        addresses = {"127.0.0.1:50051": service.address, "127.0.0.1:8080": service.http_address}
        for block in PAGES_THAT_RUN[page]:
            for script in _scripts(block):
                await _run(script, block, addresses, tmp_path)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_target_of_make_that_is_named_is_there(block: Block) -> None:
    named = {command.split()[1] for command in block.commands if command.startswith("make ")}

    assert named <= TARGETS


@pytest.mark.parametrize("block", [block for block in blocks() if block.source], ids=str)
def test_a_piece_of_code_is_in_the_file_it_is_said_to_be_from(block: Block) -> None:
    def lines(text: str) -> str:
        return "\n".join(line.strip() for line in text.splitlines())

    assert lines(block.text) in lines((ROOT / block.source).read_text(encoding="utf-8"))


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_configuration_file_is_read_as_it_is_shown(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(block.text)
    monkeypatch.setenv("IDENTITY_CONFIG", str(file))

    settings = load_settings()

    monkeypatch.delenv("IDENTITY_CONFIG")
    assert settings == load_settings(**tomllib.loads(block.text))
    assert load_policy(settings.preset, settings.policy)


def test_the_readme_is_among_the_pages() -> None:
    assert "README.md" in PAGES_THAT_RUN
    assert {"README.md", "docs/README.md", "docs/decisions/README.md"} <= set(PAGES)


def _scripts(block: Block) -> Iterator[list[str]]:
    """The block as child processes. What `make` would do is tested elsewhere, or is this very run."""
    if block.language == "python":
        yield [sys.executable, "-W", "error", "-c", block.text]
        return
    for command in block.commands:
        if not command.startswith("make "):
            yield ["bash", "-euo", "pipefail", "-c", command.replace(".venv/bin", str(Path(sys.executable).parent))]


def _preset(page: str) -> str:
    """A dialect's page is about its own product."""
    directory, _, name = page.rpartition("/")
    return name.removesuffix(".md") if directory == "docs/dialects" and name != "README.md" else "standard"


async def _run(script: list[str], block: Block, addresses: dict[str, str], place: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(_at(part, addresses) for part in script),
        cwd=ROOT,
        env={**os.environ, "HOME": str(place), "GRPC_VERBOSITY": "NONE"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(child.communicate(), timeout=60)
    assert child.returncode == 0, output.decode()
    for promised in re.findall(r"print\(.*\)  # (.+)", block.text):
        assert promised in output.decode()


def _at(text: str, addresses: dict[str, str]) -> str:
    """A command for the service of the test, which is not at the addresses that people use."""
    for theirs, ours in addresses.items():
        text = text.replace(theirs, ours)
    return text
