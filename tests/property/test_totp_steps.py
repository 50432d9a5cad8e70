"""P-10: the steps of an authenticator app that are taken only ever go up, however codes and clocks are mixed (OT-02).

Codes of neighbouring steps, several at once, on both processes where there are two, while the clock goes forth and,
as clocks do when somebody sets them, back (F-10). A code that may be taken is: nobody is kept out for nothing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.property.exploring import Bridge, explore
from tests.property.session_stage import Stage
from tests.running import Refusal, Running, outcome

from identity.domain.account.set_status import unlock
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth

PERIOD = 30
TICKS = st.sampled_from([0, 0, 1, 15, 29, 30, 31, 60, 90, 600, -1, -30, -60, -600])
SUBMITTED = st.lists(st.sampled_from([-2, -1, -1, 0, 0, 0, 1, 1, 2]), min_size=1, max_size=4)


async def test_P_10_accepted_steps_only_go_up(stage: Stage) -> None:
    """Of codes sent at once each step is taken once at most, none before the last one, and the newest always."""
    bridge, person, first = Bridge(), stage.people["guarded"], stage.nodes[0]
    app = person.app
    assert app is not None
    await stage.set_status(first, person, accounts.ACCOUNT_ACTION_ENABLE)
    password = await stage.reset(first, person)

    async def submit(node: Running, challenge: str, code: str) -> Any:
        return await outcome(node.auth.VerifyOtp(auth.VerifyOtpRequest(challenge_token=challenge, totp=code)))

    async def round_of(offsets: list[int]) -> list[bool]:
        """Which of the codes at these steps from now are taken."""
        account = first.account(person.email)
        first.world.database.write(lambda tx: unlock(first.world, tx, account))
        login = auth.LoginRequest(identifier=person.email, password=password)
        nodes = [stage.nodes[n % len(stage.nodes)] for n in range(len(offsets))]
        challenges = [(await node.auth.Login(login)).mfa_challenge.challenge_token for node in nodes]
        codes = [app.at(stage.clock.now, counter_offset=offset) for offset in offsets]
        answers = await asyncio.gather(*map(submit, nodes, challenges, codes))
        assert all(not isinstance(answer, Refusal) or answer.reason == "OTP_INVALID" for answer in answers)
        return [not isinstance(answer, Refusal) for answer in answers]

    last = [int(stage.clock.now.timestamp()) // PERIOD - 10]
    furthest = stage.clock.now

    @given(st.lists(st.tuples(TICKS, SUBMITTED), min_size=1, max_size=6))
    def go_up(rounds: list[tuple[int, list[int]]]) -> None:
        for tick, offsets in rounds:
            stage.clock.advance(timedelta(seconds=tick))
            now = int(stage.clock.now.timestamp()) // PERIOD
            taken = bridge.call(round_of, offsets)
            steps = sorted(now + offset for offset, was in zip(offsets, taken, strict=True) if was)
            good = [now + offset for offset in offsets if abs(offset) <= 1 and now + offset > last[0]]
            assert len(set(steps)) == len(steps), "a step was taken twice"
            assert set(steps) <= set(good), "a step was taken that was over, or is not near"
            assert not good or max(good) in steps, "a good code was refused"
            last[0] = max([last[0], *steps])

    await explore(go_up, examples=6, salt=stage.engine)
    stage.clock.now = max(furthest, stage.clock.now) + timedelta(days=1)
