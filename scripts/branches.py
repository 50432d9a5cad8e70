"""The branches that the tests take, package by package, from the data of coverage.py; fails under a bound.

Coverage's own percentage mixes lines and branches, and lines are easily had: what counts here are branches alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

BOUND = 95


def main() -> None:
    """Print a line for each package, and end with 1 when one of them is under the bound."""
    files = _measured()
    all_of, taken = Counter[str](), Counter[str]()
    for path, measured in files.items():
        package = Path(path).parts[2]
        all_of[package] += measured["summary"]["num_branches"]
        taken[package] += measured["summary"]["covered_branches"]
    under = False
    for package in sorted(all_of):
        share = 100 * taken[package] / all_of[package]
        under = under or share < BOUND
        print(f"{package + '/':<10}{taken[package]:>5} of {all_of[package]:>4} branches {share:7.1f} %")
    if under:
        sys.exit(f"At least {BOUND} % of the branches of each have to be taken.")


def _measured() -> dict[str, dict[str, dict[str, int]]]:
    command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", "-"]
    files: dict[str, dict[str, dict[str, int]]] = json.loads(subprocess.check_output(command))["files"]
    return files


if __name__ == "__main__":
    main()
