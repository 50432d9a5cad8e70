from __future__ import annotations

import pytest

_LONGEST_NAME = 24


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Names long values by their argument: keys and hashes are random, and test names must not be.

    Workers that collect the tests in parallel have to come to the same names.
    """
    return argname if isinstance(val, str | bytes) and len(val) > _LONGEST_NAME else None
