"""Crashes at every statement of every flow that writes: F-02, F-03, F-04 without luck (P-17).

The process stops dead after the k-th statement of the flow, BEGIN and COMMIT included, for k = 0, 1, 2, … until
the flow runs through. By default every third statement has its turn, from a first one that is drawn anew for
each run; IDENTITY_TEST_STRIDE=1 takes them all, as a long run does. Whatever the process answered by then has
arrived before it is killed, so that an answer that was given too early is found out. Then it is started again
and has to make good on everything (`recovery`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.child import Child
from tests.crash.person import Line, Person
from tests.crash.post import VERIFY, Gone, Post
from tests.crash.recovery import Deployment
from tests.effort import effort

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions

STRIDE = effort(3, 1, "IDENTITY_TEST_STRIDE")


@dataclass
class Scene:
    """Somebody new before a service."""

    deployment: Deployment
    service: Child
    line: Line
    person: Person


async def nothing(scene: Scene) -> None:
    """There is nothing to prepare."""


async def register(scene: Scene) -> None:
    await scene.person.register(scene.line)
    await scene.line.post.wait(scene.person.email, VERIFY)
    await scene.deployment.drained()


async def verify(scene: Scene) -> None:
    await scene.person.verify(scene.line)


async def prove(scene: Scene) -> None:
    await register(scene)
    await verify(scene)


async def sign_in(scene: Scene) -> None:
    await scene.person.sign_in(scene.line)


async def come_in(scene: Scene) -> None:
    await prove(scene)
    await sign_in(scene)
    await sign_in(scene)


async def refresh(scene: Scene) -> None:
    await scene.person.refresh(scene.line, scene.person.seats[0])


async def sign_out(scene: Scene) -> None:
    await scene.person.sign_out(scene.line, scene.person.seats[0])


async def change(scene: Scene) -> None:
    await scene.person.change(scene.line, scene.person.seats[0])


async def come_in_and_wait(scene: Scene) -> None:
    await come_in(scene)
    await scene.deployment.advance(scene.service)


async def forget(scene: Scene) -> None:
    await scene.person.ask_for_reset(scene.line)
    await scene.deployment.drained()


async def come_in_and_forget(scene: Scene) -> None:
    await come_in_and_wait(scene)
    await forget(scene)


async def reset(scene: Scene) -> None:
    await scene.person.use_reset(scene.line)


Step = Callable[[Scene], Awaitable[None]]
# What to prepare, what to crash in, and how many statements that has at the least: no loop may end early unseen.
FLOWS: dict[str, tuple[Step, Step, int]] = {
    "F_03_register": (nothing, register, 12),
    "F_04_verify": (register, verify, 4),
    "F_02_sign_in": (prove, sign_in, 10),
    "F_02_refresh": (come_in, refresh, 2),
    "F_02_sign_out": (come_in, sign_out, 4),
    "F_04_change_password": (come_in, change, 9),
    "F_04_request_reset": (come_in_and_wait, forget, 8),
    "F_04_reset_password": (come_in_and_forget, reset, 9),
}
# PostgreSQL runs the same flows; what it alone decides is seen in these.
ON_POSTGRES = ("F_03_register", "F_02_refresh", "F_04_reset_password")
RUNS = [*(("sqlite", flow) for flow in FLOWS), *(("postgresql", flow) for flow in ON_POSTGRES)]


@pytest.mark.parametrize(("fresh_database", "flow"), RUNS, indirect=["fresh_database"])
async def test_P_17_crash_after_every_statement(flow: str, url: str, tmp_path: Path, post: Post) -> None:
    prepare, act, least = FLOWS[flow]
    deployment = Deployment(tmp_path, url, post)
    crowd: list[Person] = []
    for statements in count(random.randrange(STRIDE), STRIDE):
        async with deployment.start(crowd) as service, deployment.line(service) as line:
            crowd = [Person.new()]
            scene = Scene(deployment, service, line, crowd[0])
            await prepare(scene)
            await service.stall_after(statements)
            if await _runs_through(scene, act):
                break
    assert statements > least
    async with deployment.start(crowd):
        pass


async def _runs_through(scene: Scene, act: Step) -> bool:
    """Whether the flow came to its end; otherwise the service has been killed inside it."""
    acting = asyncio.ensure_future(act(scene))
    stalling = asyncio.ensure_future(scene.service.stalled.wait())
    await asyncio.wait({acting, stalling}, return_when=asyncio.FIRST_COMPLETED)
    if not scene.service.stalled.is_set():
        stalling.cancel()
        await acting
        return True
    # Needs no database; what was answered before it on this connection arrives before it.
    await scene.line.call(scene.line.sessions.GetJwks, sessions.GetJwksRequest())
    scene.deployment.kill(scene.service)
    with suppress(Gone):
        await acting
    return False


async def test_F_04_setup_crash_after_every_statement(url: str, tmp_path: Path, post: Post) -> None:
    """There is one administrator who can sign in, or the set-up is still open: never neither."""
    deployment = Deployment(tmp_path, url, post)
    request = auth.SetupRequest(email="root@example.org", password="the first password of all", tenant_name="Us")
    login = auth.LoginRequest(identifier=request.email, password=request.password)
    for statements in count(random.randrange(STRIDE), STRIDE):
        async with deployment.start([]) as service, deployment.line(service) as line:
            status = await line.call(line.auth.GetSetupStatus, auth.GetSetupStatusRequest())
            if not status.needs_setup:
                assert (await line.call(line.auth.Login, login)).session.tokens.access_token
                break
            await service.stall_after(statements)
            setup = asyncio.ensure_future(line.call(line.auth.Setup, request))
            async with asyncio.timeout(10):
                await service.stalled.wait()
            deployment.kill(service)
            with suppress(Gone):
                await setup
    assert statements > 8
