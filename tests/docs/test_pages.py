"""Links lead somewhere, named files exist, ids are met where security.md says, decisions are all listed."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, text_of

ID = r"[A-Z]{1,2}-\d\d"
REQUIREMENTS = re.findall(
    rf"(?m)^\| ({ID}) \| .+ \| ([^|]+) \|$", text_of("docs/security.md").partition("\n## Known")[0]
)
CODE = [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/*.toml")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text_of(page))

    broken = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]

    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page: str) -> None:
    """In text, a path in backticks is from the root or, for brevity, from src/identity or the contract."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.*-]*|[\w-]+\.(?:py|proto|toml|sh))`", text_of(page))
    bases = (ROOT, ROOT / "src/identity", ROOT / "protos/identity/v1", ROOT / "tests", ROOT / "docs")

    missing = [name for name in named if not any(list(base.glob(name.rstrip("/"))) for base in bases)]

    assert missing == EXAMPLES.get(page, [])


EXAMPLES = {"CONTRIBUTING.md": ["sessions.py"]}
"""Names that only stand for a kind of name."""


@pytest.mark.parametrize(("requirement", "files"), REQUIREMENTS, ids=[found[0] for found in REQUIREMENTS])
def test_a_requirement_is_named_where_it_is_met(requirement: str, files: str) -> None:
    silent = [
        name
        for name in re.findall(r"`([^`]+)`", files)
        if requirement
        not in _ids_in((ROOT / (name if "deploy" in name else f"src/identity/{name}")).read_text("utf-8"))
    ]

    assert silent == []


def test_every_id_in_code_and_tests_leads_to_security_md() -> None:
    told_as_families = {"F", "N", "P", "M"}
    used = {id for file in CODE for id in _ids_in(file.read_text(encoding="utf-8"))}

    unexplained = used - _ids_in(text_of("docs/security.md"))

    assert {id for id in unexplained if id.partition("-")[0] not in told_as_families} == set()


def test_every_decision_is_in_the_index_under_its_title() -> None:
    records = sorted(ROOT.glob("docs/decisions/0*.md"))
    index = text_of("docs/decisions/README.md")

    expected = [f"| [{file.name[:4]}]({file.name}) | {_title(file)} |" for file in records]

    assert [line for line in index.splitlines() if line.startswith("| [")] == expected
    assert [file.name[:4] for file in records] == [f"{n:04}" for n in range(1, len(records) + 1)]


def test_every_decision_is_dated() -> None:
    undated = [
        file.name
        for file in ROOT.glob("docs/decisions/0*.md")
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", file.read_text().splitlines()[2])
    ]

    assert undated == []


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = [re.split(r"[\[<>=;! ]", requirement)[0] for requirement in asked]

    explained = re.findall(r"(?m)^\| ([a-z0-9-]+) \|", text_of("docs/decisions/0001-dependencies.md"))

    assert sorted(name for name in explained if name != "dependency") == sorted(names)


def test_the_index_names_every_page() -> None:
    index = text_of("docs/README.md")

    unnamed = [
        page for page in PAGES if page.startswith("docs/") and page.count("/") == 1 and Path(page).name not in index
    ]

    assert unnamed == []


def _title(record: Path) -> str:
    return record.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2]


def _ids_in(text: str) -> set[str]:
    """The ids of requirements in a text, those inside of ranges such as "OT-01 to OT-08" included."""
    inside = {
        f"{family}-{number:02}"
        for family, first, last in re.findall(r"\b([A-Z]{1,2})-(\d\d) to \1-(\d\d)\b", text)
        for number in range(int(first), int(last) + 1)
    }
    return {*re.findall(rf"\b{ID}\b", text), *inside}
