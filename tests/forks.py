"""Processes of their own, forked from one that has imported everything and started nothing.

Importing takes longer than what a test does with such a process, and a fork of one without threads is safe. There is
one server of forks in a process, and the list that it was given last is the only one: it stands here for everybody.
"""

from __future__ import annotations

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "__main__",
        "tests.child",
        "tests.store.children",
        "tests.cli.command",
        "tests.warm",
        "alembic.command",
        "identity.cli.serve",
        "identity.store.postgres",
    ]
)
