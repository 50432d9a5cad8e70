"""The demo: a throw-away service, and a real client that walks it through everything a person does.

`stage` is the service and its mails, `road` what the client does, `story` how it is told. Talks to the
service over gRPC with the generated stubs, as any other client would. May import everything but the command line.
"""

from __future__ import annotations

import asyncio

from rich.console import Console

from identity.demo.road import walk
from identity.demo.stage import stage
from identity.demo.story import Story
from identity.rpc import log

__all__ = ["run"]


def run(console: Console | None = None) -> int:
    """Tell the whole story; 0 only if every step held."""
    log.configure(level="error")
    story = Story(console or Console(markup=False, emoji=False, highlight=False, soft_wrap=True))
    return 0 if asyncio.run(_tell(story)) else 1


async def _tell(story: Story) -> bool:
    async with stage() as place:
        story.open(place.address)
        held = await story.tell(walk(story, place))
    story.close()
    return held
