"""P-02: whatever happens to somebody's sessions, in whatever order, exactly the tokens of the model work.

One person without and one with an authenticator app, an administrator above them, a clock that jumps by up to a
month, restarts on the same database, and on PostgreSQL a second process beside the first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.property.exploring import Bridge, explore_states
from tests.property.session_model import GRACE, IDLE, LEEWAY, Badge, Person, Tokens
from tests.property.session_stage import Somebody, Stage
from tests.running import Refusal, Running, bearer

from identity.domain.housekeeping import sweep
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as pb

T = TypeVar("T")

MOMENT = timedelta(milliseconds=1)
DAY = timedelta(days=1)
JUMPS = [timedelta(0), timedelta(seconds=5), timedelta(minutes=15), timedelta(hours=1), DAY, 6 * DAY, 31 * DAY]
OTHERS, ALL = pb.SESSION_SELECTION_OTHERS, pb.SESSION_SELECTION_ALL
CHOICE = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8, 13, 21])
WHO = st.sampled_from(["plain", "guarded"])
SHOWN = 3
"""So many access tokens of each person are looked at after every step."""


class SessionMachine(RuleBasedStateMachine):
    """What people, administrators and operators do, each step beside the model."""

    def __init__(self, stage: Stage, bridge: Bridge) -> None:
        super().__init__()
        self.stage, self.clock = stage, stage.clock
        self.call, self.ask = bridge.call, bridge.ask
        self.at, self.restarts = 0, 0

    @property
    def node(self) -> Running:
        return self.stage.nodes[self.at]

    @initialize()
    def begin(self) -> None:
        """Everybody is enabled, and has a new password and no session."""
        for somebody in self.stage.people.values():
            self.call(self.stage.set_status, self.node, somebody, accounts.ACCOUNT_ACTION_ENABLE)
            somebody.model = Person(self.call(self.stage.reset, self.node, somebody))
            somebody.refresh_tokens, somebody.badges = [], []
        self.stage.tend()

    # Coming in and staying.

    @rule(who=WHO, remember=st.sampled_from([True, True, True, False]))
    def sign_in(self, who: str, remember: bool) -> None:
        self.enter(self.stage.people[who], remember)

    @rule(who=WHO)
    def refresh(self, who: str) -> None:
        somebody = self.somebody_inside(who)
        self.present(somebody, *somebody.refresh_tokens[-1])

    @rule(who=WHO, choice=CHOICE)
    def refresh_with_any_token(self, who: str, choice: int) -> None:
        somebody = self.somebody_inside(who)
        self.present(somebody, *chosen(somebody.refresh_tokens, choice))

    @rule(who=WHO, twice=st.booleans(), wait=st.sampled_from([timedelta(0), GRACE - MOMENT, GRACE]))
    def refresh_and_replay(self, who: str, twice: bool, wait: timedelta) -> None:
        """As a client does that lost the reply, or a thief."""
        somebody = self.somebody_inside(who)
        held = somebody.refresh_tokens[-1]
        self.present(somebody, *held)
        if twice:
            self.present(somebody, *somebody.refresh_tokens[-1])
        self.clock.advance(wait)
        self.present(somebody, *held)

    @rule(who=WHO, short=st.sampled_from([timedelta(0), MOMENT]))
    def stay_as_long_as_possible(self, who: str, short: timedelta) -> None:
        """Refreshing keeps a session from being idle, and never moves its absolute end (SE-03)."""
        somebody = self.stage.people[who]
        until = self.enter(somebody)
        while until is not None and self.clock.now < until - short:
            self.time_passes(min(IDLE - MOMENT, until - short - self.clock.now))
            self.present(somebody, *somebody.refresh_tokens[-1])

    # Leaving.

    @rule(who=WHO, choice=CHOICE, by_refresh_token=st.booleans())
    def sign_out(self, who: str, choice: int, by_refresh_token: bool) -> None:
        somebody = self.somebody_inside(who)
        if by_refresh_token:
            family, _, token = chosen(somebody.refresh_tokens, choice)
            self.call(self.node.sessions.SignOut, pb.SignOutRequest(refresh_token=token))
            somebody.model = somebody.model.without({family}, self.clock.now)
        else:
            badge, token = chosen(somebody.badges, choice)
            self.call(self.node.sign_out, token)
            if not somebody.model.refuses(badge, self.clock.now):
                somebody.model = somebody.model.without({badge.family}, self.clock.now)

    @rule(who=WHO, choice=CHOICE, other=CHOICE, what=st.sampled_from(["one", "others", "all"]))
    def revoke(self, who: str, choice: int, other: int, what: str) -> None:
        somebody = self.somebody_inside(who, twice=True)
        now = self.clock.now
        badge, token = chosen(somebody.badges, choice)
        target = chosen(somebody.badges, other)[0].family
        call, request = {
            "one": (self.node.sessions.RevokeSession, pb.RevokeSessionRequest(id=target)),
            "others": (self.node.sessions.RevokeSessions, pb.RevokeSessionsRequest(selection=OTHERS)),
            "all": (self.node.sessions.RevokeSessions, pb.RevokeSessionsRequest(selection=ALL)),
        }[what]
        answer = self.ask(call, request, metadata=bearer(token))
        reason = somebody.model.refuses(badge, now)
        if not reason and what == "one" and somebody.model.family(target) is None:
            reason = "NOT_FOUND"
        if reason:
            assert told(answer, badge, now) == reason
        elif what == "one":
            assert not isinstance(answer, Refusal), answer
            somebody.model = somebody.model.without({target}, now)
        else:
            somebody.model, ended = somebody.model.alone(now, badge.family if what == "others" else None)
            assert answer.sessions_ended == ended

    # What changes the account.

    @rule(who=WHO, choice=CHOICE, how=st.sampled_from(["signed in", "by name", "by mail"]))
    def set_a_password(self, who: str, choice: int, how: str) -> None:
        somebody = self.somebody_inside(who, twice=True) if how == "signed in" else self.stage.people[who]
        if how == "by mail":
            if not somebody.model.disabled:
                password = self.call(self.stage.reset, self.node, somebody)
                somebody.model, _ = somebody.model.with_password(password, self.clock.now)
            return
        code, new = self.code_of(somebody), self.stage.new_password()
        change = auth.ChangePasswordRequest(current_password=somebody.model.password, new_password=new)
        if code is not None:
            change.second_factor.totp = code
        badge, token = chosen(somebody.badges, choice) if how == "signed in" else (None, "")
        if badge is None:
            change.identifier = somebody.email
        answer = self.ask(self.node.auth.ChangePassword, change, metadata=bearer(token) if token else ())
        if badge is not None and (reason := somebody.model.refuses(badge, self.clock.now)):
            assert told(answer, badge, self.clock.now) == reason
            return
        somebody.model, comes_in = somebody.model.proven(somebody.model.password, self.clock.now)
        if not comes_in:
            assert answer.reason == "INVALID_CREDENTIALS"
            return
        somebody.model, ended = somebody.model.with_password(new, self.clock.now, badge.family if badge else None)
        assert answer.sessions_ended == ended

    @rule(who=WHO, what=st.sampled_from(["revoke", "disable", "enable", "make a user", "make an owner"]))
    def an_administrator_acts(self, who: str, what: str) -> None:
        somebody = self.somebody_inside(who)
        match what:
            case "revoke":
                told = self.call(self.stage.revoke_all, self.node, somebody)
                somebody.model, ended = somebody.model.alone(self.clock.now)
                assert told == ended
            case "disable" | "enable":
                self.switch(somebody, disabled=what == "disable")
            case _:
                if self.call(self.stage.set_role, self.node, somebody, what.rpartition(" ")[2]):
                    somebody.model, _ = somebody.model.alone(self.clock.now)

    # Time and operators.

    @rule(jump=st.sampled_from(JUMPS))
    def time_passes(self, jump: timedelta) -> None:
        self.clock.advance(jump)
        self.stage.tend()

    @rule(who=WHO, choice=CHOICE, short=st.sampled_from([timedelta(0), MOMENT]))
    def time_passes_until_something_ends(self, who: str, choice: int, short: timedelta) -> None:
        """To the moment, or to the last one before it."""
        somebody, now = self.stage.people[who], self.clock.now
        late = [badge.expires_at + LEEWAY for badge, _ in somebody.badges[-SHOWN:]]
        moments = sorted({*somebody.model.moments(now), *(moment for moment in late if moment > now)})
        if moments:
            self.time_passes(chosen(moments, choice) - short - now)

    @rule(who=WHO, what=st.sampled_from(["sweep", "restart", "go on at the other process"]))
    def an_operator_acts(self, who: str, what: str) -> None:
        match what:
            case "sweep":
                sweep(self.node.world)
                for somebody in self.stage.people.values():
                    somebody.model = somebody.model.swept(self.clock.now)
            case "restart" if self.restarts < 1:
                self.restarts += 1
                self.sign_out(who, 0, False)  # which the next process has to know (N-02)
                self.call(self.stage.restart, self.at)
            case _:
                self.at = (self.at + 1) % len(self.stage.nodes)
                self.node.tend()

    # What must hold.

    @invariant()
    def exactly_the_tokens_of_the_model_work(self) -> None:
        """An access token opens something just when the model says so, and the list of sessions is the model's."""
        now = self.clock.now
        for somebody in self.stage.people.values():
            newest = somebody.badges[-SHOWN:]
            answers = self.call(self.stage.look, self.node, [token for _, token in newest])
            for (badge, _), (shown, listed) in zip(newest, answers, strict=True):
                assert told(shown, badge, now) == somebody.model.hides(badge, now)
                assert told(listed, badge, now) == somebody.model.refuses(badge, now)
                if not isinstance(listed, Refusal):
                    live = [family.id for family in somebody.model.live(now)]
                    assert [session.id for session in listed.sessions] == live

    def teardown(self) -> None:
        """Every refresh token that was ever issued is presented, the newest first: each family has one live leaf."""
        for somebody in self.stage.people.values():
            for held in reversed(list(somebody.refresh_tokens)):
                self.present(somebody, *held)

    # How.

    def present(self, somebody: Somebody, family: str, counter: int, token: str) -> None:
        answer = self.ask(self.node.refresh, token)
        somebody.model, expected = somebody.model.refreshed(family, counter, self.clock.now)
        if not isinstance(expected, Tokens):
            assert isinstance(answer, Refusal), f"a token worked that is {expected}"
            assert answer.reason == expected
            return
        assert not isinstance(answer, Refusal), answer
        assert (answer.session_id, answer.reused) == (family, expected.reused)
        if expected.reused:
            assert (family, expected.counter, answer.tokens.refresh_token) in somebody.refresh_tokens
        somebody.take(family, answer.tokens, self.clock)

    def enter(self, somebody: Somebody, remember: bool = True) -> datetime | None:
        """Sign in; the absolute end of the new session, if there is one."""
        code, password = self.code_of(somebody), somebody.model.password
        login = auth.LoginRequest(identifier=somebody.email, password=password, remember=remember)
        answer = self.ask(self.node.auth.Login, login)
        somebody.model, comes_in = somebody.model.proven(password, self.clock.now)
        if not comes_in:
            assert answer.reason == "INVALID_CREDENTIALS"
            return None
        if code is not None:
            verify = auth.VerifyOtpRequest(challenge_token=answer.mfa_challenge.challenge_token, totp=code)
            answer = self.ask(self.node.auth.VerifyOtp, verify)
        told = answer.session
        assert list(told.session.amr) == (["pwd"] if code is None else ["pwd", "otp", "mfa"])
        assert told.tokens.HasField("refresh_token") == remember
        somebody.model = somebody.model.entered(told.session.id, self.clock.now, remembered=remember)
        somebody.take(told.session.id, told.tokens, self.clock)
        return somebody.model.live(self.clock.now)[0].until

    def somebody_inside(self, who: str, *, twice: bool = False) -> Somebody:
        """With a refresh token and a newest access token that work; on two devices, if need be."""
        somebody, now = self.stage.people[who], self.clock.now
        live = {family.id for family in somebody.model.live(now)}
        held = [each for each in somebody.refresh_tokens if each[0] in live]
        missing = 1 + twice - len({family for family, _, _ in held})
        if missing > 0:
            self.switch(somebody, disabled=False)
            for _ in range(missing):
                self.enter(somebody)
        elif somebody.model.refuses(somebody.badges[-1][0], now):
            self.present(somebody, *held[-1])
        return somebody

    def switch(self, somebody: Somebody, *, disabled: bool) -> None:
        action = accounts.ACCOUNT_ACTION_DISABLE if disabled else accounts.ACCOUNT_ACTION_ENABLE
        told = self.call(self.stage.set_status, self.node, somebody, action)
        somebody.model, ended = somebody.model.switched(self.clock.now, disabled=disabled)
        assert told == ended

    def code_of(self, somebody: Somebody) -> str | None:
        """The next code of somebody's app, half a minute later, so that it was never used."""
        self.clock.advance(seconds=30)
        return None if somebody.app is None else somebody.app.at(self.clock.now)


def told(answer: object, badge: Badge, now: datetime) -> str:
    """What a client with this access token is told; of one that is very late, even the key may be forgotten."""
    if not isinstance(answer, Refusal):
        return ""
    forgotten = answer.reason == "UNAUTHENTICATED" and now > badge.expires_at + DAY
    return "TOKEN_EXPIRED" if forgotten else answer.reason


def chosen(things: list[T], choice: int) -> T:
    """One of them, the newest for 0."""
    return things[-1 - choice % len(things)]


async def test_P_02_exactly_the_tokens_of_the_model_work(stage: Stage) -> None:
    """Tokens, replays, sign-outs, passwords, status, roles, time and restarts in any order."""
    bridge = Bridge()
    await explore_states(lambda: SessionMachine(stage, bridge), examples=8, steps=10, salt=stage.engine)
