"""The demo holds; and where it did not, it would say so."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from tests.cli.command import child

from identity.demo.story import Story


def test_the_demo_walks_the_whole_road() -> None:
    """It reads no settings: what would stop `serve` does not touch it."""
    done = child("demo", IDENTITY_BCRYPT_COST="9", IDENTITY_DATABASE_URL="mysql://nowhere")

    assert (done.returncode, done.stderr) == (0, "")
    assert "All 19 steps held." in done.stdout
    for call in ("Setup", "VerifyEmail", "RefreshSession", "ResetPassword", "ChangePassword", "SignOut", "GetJwks"):
        assert f" {call} " in done.stdout


async def test_a_step_that_does_not_hold_ends_the_story() -> None:
    page = StringIO()
    story = Story(Console(file=page, width=100))

    async def walk() -> None:
        with story.step("First", "goes well"):
            story.holds("one is one", True)
        with story.step("Second", "goes wrong"):
            story.holds("one is two", False)
        raise AssertionError("nothing comes after a step that failed")

    held = await story.tell(walk())
    story.close()

    assert not held
    assert page.getvalue().splitlines()[-1] == "Step 2, Second: it does not hold that one is two"
