"""Tokens come from sessions, sessions from behind the gate: held in the source itself (LG-06)."""

from __future__ import annotations

import ast
from pathlib import Path

import identity

SOURCE = Path(identity.__file__).parent
SIGN_IN, REFRESH = "domain/sign_in.py", "domain/session/refresh.py"


def callers_of(name: str) -> set[tuple[str, str]]:
    """Who calls something by these last two words: each file with the function at its top level."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for function in ast.parse(path.read_text()).body:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and f".{ast.unparse(node.func)}".endswith(f".{name}"):
                    found.add((path.relative_to(SOURCE).as_posix(), getattr(function, "name", "")))
    return found


def test_LG_06_one_function_mints_tokens() -> None:
    """Access and refresh tokens of a session are made in one place, for a new session or for a rotated one."""
    assert callers_of("access_tokens.mint") == callers_of("refresh_tokens.issue") == {(SIGN_IN, "mint")}
    assert callers_of("mint") - callers_of("access_tokens.mint") == {(SIGN_IN, "issue_tokens"), (REFRESH, "finish")}


def test_LG_06_two_statements_make_a_session_worth_tokens() -> None:
    """One writes it and one moves its counter; the gate stands before the first, and in the second."""
    assert callers_of("sessions.add") == {(SIGN_IN, "open_session")}
    assert callers_of("sessions.rotate") == {(REFRESH, "rotation")}
    opening = next(
        node for node in ast.parse((SOURCE / SIGN_IN).read_text()).body if getattr(node, "name", "") == "open_session"
    )
    _, ask, check, *_ = opening.body  # type: ignore[attr-defined]
    assert "gate.refusal" in ast.unparse(ask) and "gate.refuse" in ast.unparse(check)
