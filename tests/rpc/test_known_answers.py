"""Answers that are known are given from the event loop; all others are worked for, as always."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import grpc
from tests.rpc.toy import TOKEN, Toy, ToyReply, ToyRequest, bearer, failure, serving

from identity.rpc.work import known_by


@dataclass
class Knowing(Toy):
    """Knows the answer to what it was asked before."""

    known: dict[str, Any] = field(default_factory=dict)
    threads: list[str] = field(default_factory=list)

    def _recall(self, request: Any) -> Any:
        if request.text == "broken":
            raise ValueError("a mistake")
        return self.known.get(request.text)

    @known_by(_recall)
    def Echo(self, request: Any, context: Any) -> Any:
        self.threads.append(threading.current_thread().name)
        self.known[request.text] = ToyReply(text=request.text)
        return self.known[request.text]

    Mine = Manage = Echo


async def test_what_is_known_costs_no_thread() -> None:
    """The first answer comes out of a thread, the second out of memory."""
    toy = Knowing()
    async with serving(toy) as served:
        for _ in range(2):
            assert (await served.call("Echo", ToyRequest(text="a"))).text == "a"
        assert [name.partition("-")[0] for name in toy.threads] == ["rpc"]
        assert served.pipeline.in_flight == 0


async def test_a_known_answer_is_only_for_who_may_call_AZ_01() -> None:
    """Memory is asked after the caller is proven, and never where a permission is needed."""
    toy = Knowing(known={"a": ToyReply(text="known")})
    request = ToyRequest(text="a")
    async with serving(toy) as served:
        assert (await failure(served.call("Mine", request))).code is grpc.StatusCode.UNAUTHENTICATED
        assert (await served.call("Mine", request, metadata=bearer(TOKEN))).text == "known"
        denied = await failure(served.call("Manage", request, metadata=bearer(TOKEN)))
        assert denied.code is grpc.StatusCode.PERMISSION_DENIED
        assert toy.threads == []


async def test_a_mistake_while_recalling_is_answered_like_any_other_TR_05() -> None:
    async with serving(Knowing()) as served:
        assert (await failure(served.call("Echo", ToyRequest(text="broken")))).code is grpc.StatusCode.INTERNAL
        assert served.pipeline.in_flight == 0
