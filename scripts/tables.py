"""Write the tables of docs/ that the code itself knows: in errors.md, settings.md, operations.md and dialects/.

`python scripts/tables.py` rewrites what stands between the markers; `--check` changes nothing and exits 1
when a page is not what the code says.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from dialect_tables import operations
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from identity.cli.settings import variables
from identity.rpc.errors import CODES
from identity.telemetry.families import FAMILIES, Kind

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- Written by `make generate`; change the code instead. -->", "<!-- End of what is written. -->"
PREFIX = "ERROR_REASON_"
_ENUMS, _VALUES = 5, 2  # the numbers of these fields in FileDescriptorProto and EnumDescriptorProto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare and change nothing")
    check = parser.parse_args().check
    stale = [name for name, table in PAGES.items() if not update(ROOT / "docs" / name, table(), check=check)]
    if stale:
        sys.exit(f"docs/{', docs/'.join(stale)}: not what the code says, run `make generate`")


def update(page: Path, table: str, *, check: bool) -> bool:
    """Whether the page has this table now."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    fresh = f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
    if fresh != text and not check:
        page.write_text(fresh, encoding="utf-8")
    return fresh == text or not check


def errors() -> str:
    """Each reason with its code and when it is given, in the groups and words of the contract."""
    image = FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes())
    file = next(file for file in image.file if file.name == "identity/v1/error_reason.proto")
    lines = []
    for name, group, comment in commented_values(file):
        if group:
            lines += ["", f"## {group.rstrip('.')}", "", "| reason | gRPC code | when |", "|---|---|---|"]
        if name != "UNSPECIFIED":
            when = comment.partition("\n\n")[0].partition(": ")[2].replace("\n", " ").strip()
            lines.append(f"| `{name}` | `{CODES[name].name}` | {sentence(when)} |")
    return "\n".join(lines).strip()


def commented_values(file: FileDescriptorProto) -> Iterator[tuple[str, str, str]]:
    """The values of the one enum: name without prefix, the heading above it, and its comment."""
    enum = next(index for index, enum in enumerate(file.enum_type) if enum.name == "ErrorReason")
    places = {tuple(place.path): place for place in file.source_code_info.location}
    for index, value in enumerate(file.enum_type[enum].value):
        place = places[_ENUMS, enum, _VALUES, index]
        heading = "".join(place.leading_detached_comments).strip()
        yield value.name.removeprefix(PREFIX), heading, re.sub(r"(?m)^ ", "", place.leading_comments)


def settings() -> str:
    """Each variable with its default and meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, default, meaning in variables():
        rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(rows)


def metrics() -> str:
    """Each metric with its labels and meaning, under the name that it is scraped by."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for family in FAMILIES:
        name = f"{family.name}_total" if family.kind is Kind.COUNTER else family.name
        rows.append(f"| `{name}` | {family.kind} | {', '.join(family.labels)} | {family.help} |")
    return "\n".join(rows)


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors,
    "settings.md": settings,
    "operations.md": metrics,
    **{
        f"dialects/{page.name}": partial(operations, page.stem)
        for page in sorted(ROOT.glob("docs/dialects/*.md"))
        if page.stem != "README"
    },
}

if __name__ == "__main__":
    main()
