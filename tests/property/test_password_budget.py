"""P-11: a budget never lets more guesses through than it has, and never keeps anybody out while it has some left.

Wrong and right passwords in any number, at the same time, with any waits between them, beside the rules of LG-02.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.property.exploring import Bridge, explore
from tests.property.session_model import FREE, Attempts
from tests.running import PASSWORD, WRONG_PASSWORD, Refusal, Running, outcome

from identity.domain.password_proof import password_budget

WAITS = st.sampled_from([0.0, 0.999, 1.0, 1.999, 2.0, 4.0, 8.0, 60.0, 900.0])
GUESSES = st.lists(st.sampled_from([False, False, True]), min_size=1, max_size=7)


async def test_P_11_no_guess_too_many_and_nobody_kept_out(service: Running) -> None:
    """What is looked at stays within the budget; who is right gets in while one attempt is free."""
    bridge, email = Bridge(), await service.verified()
    account = service.account(email).id
    key = password_budget(service.world, account)

    async def try_at_once(rights: list[bool]) -> list[Any]:
        passwords = [PASSWORD if right else WRONG_PASSWORD for right in rights]
        return list(await asyncio.gather(*(outcome(service.login(email, password)) for password in passwords)))

    @example([(0.0, [True] * 7), (0.0, [False] * 7), (0.0, [True]), (1.0, [True] * 7)])
    @example([(0.0, [False] * 4 + [True] * 3), (0.0, [False] * 5), (0.999, [True]), (0.001, [True])])
    @given(st.lists(st.tuples(WAITS, GUESSES), min_size=1, max_size=6))
    def within(rounds: list[tuple[float, list[bool]]]) -> None:
        service.world.database.write(lambda tx: tx.throttles.clear(key))
        budget = Attempts()
        for wait, rights in rounds:
            service.clock.advance(timedelta(seconds=wait))
            now, wrongs = service.clock.now, rights.count(False)
            before = service.events("sign_in_failed", account)
            answers = bridge.call(try_at_once, rights)
            came_in = [not isinstance(answer, Refusal) for answer in answers]
            looked_at = service.events("sign_in_failed", account) - before

            assert not any(came and not right for came, right in zip(came_in, rights, strict=True))
            reasons = {answer.reason for answer in answers if isinstance(answer, Refusal)}
            assert reasons <= {"INVALID_CREDENTIALS"}
            is_open = budget.charged(now) is not None
            free = max(FREE - budget.charges, 1) if is_open else 0
            assert looked_at <= min(wrongs, free + FREE * sum(came_in)), "more was looked at than there was"
            if is_open and wrongs < free:
                assert sum(came_in) == rights.count(True), "somebody right was kept out"
            if not is_open:
                assert not any(came_in), "a wait was cut short"
            budget = standing(budget, looked_at, any(came_in), now)

    def standing(budget: Attempts, looked_at: int, cleared: bool, now: Any) -> Attempts:
        """The budget after a round; where somebody got in, in which order only the service knows."""
        stored = service.world.database.read(lambda tx: tx.throttles.failures(key))
        assert stored <= looked_at if cleared else stored == budget.charges + looked_at
        after = Attempts() if cleared else budget
        while after.charges < stored:
            after = Attempts(after.charges).charged(now) or after
        return after

    await explore(within, examples=6, salt=service.world.database.dialect)
