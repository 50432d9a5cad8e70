"""Servicers are added so that a call costs the same however many methods there are."""

from __future__ import annotations

import asyncio

from tests.running import Running

from identity_pb.v1 import auth_service_pb2 as auth


async def test_no_task_waits_for_each_method(service: Running) -> None:
    """One waits for the next call of any method; see `identity.rpc.handlers`."""
    await service.auth.GetSetupStatus(auth.GetSetupStatusRequest())

    waiting = [task for task in asyncio.all_tasks() if "_request_registered_call" in repr(task.get_coro())]

    assert waiting == []
