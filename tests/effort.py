"""How hard the tests look for what breaks.

Every commit tries a little, and those that draw their examples from a fixed seed the same each time.
IDENTITY_TEST_LONG=1 tries as much as a night has time for, from a seed that a failure shows; IDENTITY_TEST_SEED repeats
that run.
"""

from __future__ import annotations

import os
from random import SystemRandom

LONG = os.environ.get("IDENTITY_TEST_LONG") == "1"
SEED = int(os.environ.get("IDENTITY_TEST_SEED", "0")) or SystemRandom().randrange(1, 10**9)
FIXED_SEED = SEED if LONG or "IDENTITY_TEST_SEED" in os.environ else 1
"""For tests that are to be the same at every commit."""


def effort(short: int, long: int, variable: str = "") -> int:
    """How often to try: at every commit, in a long run, or as a variable of the environment says."""
    given = os.environ.get(variable) if variable else None
    return int(given) if given else long if LONG else short
