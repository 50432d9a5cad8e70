"""The benchmarks run from end to end; what they measure is not asserted here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_quick_run(tmp_path: Path) -> None:
    """`--quick` measures every arm and prints it, as plain text where there is no terminal."""
    figures = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    arms = json.loads(figures.read_text())["arms"]
    measured = {(arm["name"], arm["engine"]) for arm in arms}
    calls, engines = ("RefreshSession", "GetSession"), ("SQLite", "PostgreSQL")
    doors = ("container", *(["Envoy"] if find_spec("envoy") else []))
    alone = {("Echo", ""), ("bcrypt alone", ""), *product(["Login"], engines)}
    assert measured == {*alone, *product(calls, (*engines, *doors))}
    assert all(sample["calls"] > 0 for arm in arms for sample in arm["samples"])
    assert "RefreshSession  PostgreSQL" in run.stdout
    assert "\x1b" not in run.stdout
