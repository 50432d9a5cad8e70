"""A log that cannot be written any more: its disk is full, or nobody reads it."""

from __future__ import annotations

import errno
from io import StringIO
from itertools import cycle

from tests.conftest import Launch
from tests.logs import captured_log


async def test_F_14_a_log_that_cannot_be_written_costs_its_lines_and_nothing_else(launch: Launch) -> None:
    """What is told in the middle of a write, and of a mail's way, is told by threads that everybody depends on."""
    errors = cycle([OSError(errno.ENOSPC, "full"), BrokenPipeError(), ValueError("closed")])

    class Unwritable(StringIO):
        def write(self, _: str) -> int:
            raise next(errors)

    with captured_log(Unwritable()) as (log, _):
        service = await launch(log=log)
        for _ in range(2):
            await service.login(await service.verified())
