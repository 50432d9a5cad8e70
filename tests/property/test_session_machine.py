"""P-02: whatever happens to somebody's sessions, in whatever order, exactly the tokens of the model work.

One person without and one with an authenticator app, an administrator above them, a clock that jumps by up to a
month, restarts on the same database, and on PostgreSQL a second process beside the first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.property.exploring import Bridge, explore_states
from tests.property.session_model import GRACE, IDLE, LEEWAY, Attempts, Badge, Person, Tokens
from tests.property.session_stage import Somebody, Stage
from tests.running import Refusal, Running, bearer

from identity.domain.housekeeping import sweep
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as pb

T = TypeVar("T")

NONE, MOMENT, DAY = timedelta(0), timedelta(milliseconds=1), timedelta(days=1)
JUMPS = [NONE, timedelta(seconds=5), timedelta(minutes=15), timedelta(hours=1), DAY, 6 * DAY, 31 * DAY]
OTHERS, ALL = pb.SESSION_SELECTION_OTHERS, pb.SESSION_SELECTION_ALL
WHO = st.sampled_from(["plain", "guarded"])
CHOICE = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8, 13, 21])
SHOWN = 3
"""So many access tokens of each person are looked at after every step."""

# A few rules with many turns: hypothesis leaves rules out of an example, and every turn is to come up.
STAYING = ["sign in", "sign in for a moment", "refresh", "use any token", "lose a reply", "lose two", "stay", "be idle"]
LEAVING = ["sign out", "use a token to sign out", "revoke one", "revoke others", "revoke all"]
PASSWORDS = ["change it signed in", "change it by name", "reset it"]
ABOVE = ["revoke", "disable", "enable", "make a user", "make an owner", "sweep", "restart", "go to the other process"]


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

    @rule(who=WHO, what=st.sampled_from(STAYING), choice=CHOICE)
    def somebody_stays(self, who: str, what: str, choice: int) -> None:
        somebody = self.stage.people[who] if "sign in" in what or what == "stay" else self.inside(who)
        match what:
            case "sign in" | "sign in for a moment":
                self.enter(somebody, remember=what == "sign in")
            case "refresh":
                self.present(somebody, *somebody.refresh_tokens[-1])
            case "use any token":
                self.present(somebody, *chosen(somebody.refresh_tokens, choice))
            case "stay":
                self.stay(somebody, short=choice % 2 * MOMENT)
            case "be idle":
                self.advance(IDLE - choice % 2 * MOMENT)
                self.present(somebody, *somebody.refresh_tokens[-1])
            case _:
                self.replay(somebody, twice="two" in what, wait=chosen([GRACE, GRACE - MOMENT, MOMENT], choice))

    @rule(who=WHO, what=st.sampled_from(LEAVING), choice=CHOICE, other=CHOICE)
    def somebody_leaves(self, who: str, what: str, choice: int, other: int) -> None:
        somebody = self.inside(who, twice="revoke" in what)
        if what == "sign out":
            self.sign_out(somebody, *chosen(somebody.badges, choice))
        elif what == "use a token to sign out":
            family, _, token = chosen(somebody.refresh_tokens, choice)
            self.call(self.node.sessions.SignOut, pb.SignOutRequest(refresh_token=token))
            somebody.model = somebody.model.without({family}, self.clock.now)
        elif what == "revoke one":
            self.revoke_one(somebody, *chosen(somebody.badges, choice), chosen(somebody.badges, other)[0].family)
        else:
            self.revoke_many(somebody, *chosen(somebody.badges, choice), everything=what == "revoke all")

    @rule(who=WHO, what=st.sampled_from(PASSWORDS), choice=CHOICE)
    def somebody_sets_a_password(self, who: str, what: str, choice: int) -> None:
        somebody = self.stage.people[who]
        if what == "change it signed in":
            self.change_password(self.inside(who, twice=True), *chosen(somebody.badges, choice))
        elif what == "change it by name":
            self.change_password(somebody, None, "")
        elif not somebody.model.disabled:
            password = self.call(self.stage.reset, self.node, somebody)
            somebody.model, _ = somebody.model.with_password(password, self.clock.now)

    @rule(who=WHO, what=st.sampled_from(ABOVE))
    def somebody_above_acts(self, who: str, what: str) -> None:
        somebody = self.inside(who)
        match what:
            case "revoke":
                told = self.call(self.stage.revoke_all, self.node, somebody)
                somebody.model, ended = somebody.model.alone(self.clock.now)
                assert told == ended
            case "disable" | "enable":
                self.switch(somebody, disabled=what == "disable")
            case "make a user" | "make an owner":
                if self.call(self.stage.set_role, self.node, somebody, what.rpartition(" ")[2]):
                    somebody.model, _ = somebody.model.alone(self.clock.now)
            case "sweep":
                sweep(self.node.world)
                for each in self.stage.people.values():
                    each.model = each.model.swept(self.clock.now)
            case "restart" if self.restarts < 1:
                self.restarts += 1
                self.sign_out(somebody, *somebody.badges[-1])  # which the next process has to know (N-02)
                self.call(self.stage.restart, self.at)
            case _:
                self.at = (self.at + 1) % len(self.stage.nodes)
                self.node.tend()

    @rule(who=WHO, jump=st.sampled_from(JUMPS) | st.none(), choice=CHOICE, short=st.sampled_from([NONE, MOMENT]))
    def time_passes(self, who: str, jump: timedelta | None, choice: int, short: timedelta) -> None:
        """By a jump, or until something ends by itself, or to the last moment before."""
        somebody, now = self.stage.people[who], self.clock.now
        late = [badge.expires_at + LEEWAY for badge, _ in somebody.badges[-SHOWN:]]
        moments = sorted({*somebody.model.moments(now), *(moment for moment in late if moment > now)})
        if jump is None and moments:
            jump = chosen(moments, choice) - short - now
        self.advance(jump or NONE)

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

    def enter(self, somebody: Somebody, *, remember: bool = True) -> datetime | None:
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
        result = answer.session
        assert list(result.session.amr) == (["pwd"] if code is None else ["pwd", "otp", "mfa"])
        assert result.tokens.HasField("refresh_token") == remember
        somebody.model = somebody.model.entered(result.session.id, self.clock.now, remembered=remember)
        somebody.take(result.session.id, result.tokens, self.clock)
        return somebody.model.live(self.clock.now)[0].until

    def inside(self, who: str, *, twice: bool = False) -> Somebody:
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

    def present(self, somebody: Somebody, family: str, counter: int, token: str) -> None:
        """A refresh token, with the answer that the model gives."""
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

    def replay(self, somebody: Somebody, *, twice: bool, wait: timedelta) -> None:
        """As a client does that lost the reply, or a thief: the parent of the live token, or its grandparent."""
        held = somebody.refresh_tokens[-1]
        self.present(somebody, *held)
        if twice:
            self.present(somebody, *somebody.refresh_tokens[-1])
        self.clock.advance(wait)
        self.present(somebody, *held)

    def stay(self, somebody: Somebody, *, short: timedelta) -> None:
        """Refreshing keeps a session from being idle, and never moves its absolute end (SE-03)."""
        until = self.enter(somebody)
        while until is not None and self.clock.now < until - short:
            self.advance(min(IDLE - MOMENT, until - short - self.clock.now))
            self.present(somebody, *somebody.refresh_tokens[-1])

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.stage.tend()

    def sign_out(self, somebody: Somebody, badge: Badge, token: str) -> None:
        self.call(self.node.sign_out, token)
        if not somebody.model.refuses(badge, self.clock.now):
            somebody.model = somebody.model.without({badge.family}, self.clock.now)

    def revoke_one(self, somebody: Somebody, badge: Badge, token: str, family: str) -> None:
        revoke = pb.RevokeSessionRequest(id=family)
        answer = self.ask(self.node.sessions.RevokeSession, revoke, metadata=bearer(token))
        gone = "" if somebody.model.family(family) else "NOT_FOUND"
        reason = somebody.model.refuses(badge, self.clock.now) or gone
        assert told(answer, badge, self.clock.now) == reason
        if not reason:
            somebody.model = somebody.model.without({family}, self.clock.now)

    def revoke_many(self, somebody: Somebody, badge: Badge, token: str, *, everything: bool) -> None:
        revoke = pb.RevokeSessionsRequest(selection=ALL if everything else OTHERS)
        answer = self.ask(self.node.sessions.RevokeSessions, revoke, metadata=bearer(token))
        reason = somebody.model.refuses(badge, self.clock.now)
        assert told(answer, badge, self.clock.now) == reason
        if not reason:
            somebody.model, ended = somebody.model.alone(self.clock.now, None if everything else badge.family)
            assert answer.sessions_ended == ended

    def change_password(self, somebody: Somebody, badge: Badge | None, token: str) -> None:
        code, new = self.code_of(somebody), self.stage.new_password()
        change = auth.ChangePasswordRequest(current_password=somebody.model.password, new_password=new)
        if code is not None:
            change.second_factor.totp = code
        if badge is None:
            change.identifier = somebody.email
        answer = self.ask(self.node.auth.ChangePassword, change, metadata=bearer(token) if badge else ())
        if badge is not None and (reason := somebody.model.refuses(badge, self.clock.now)):
            assert told(answer, badge, self.clock.now) == reason
            return
        if badge is None:
            somebody.model, comes_in = somebody.model.proven(somebody.model.password, self.clock.now)
            if not comes_in:
                assert answer.reason == "INVALID_CREDENTIALS"
                return
        # Who is signed in has a device that is known, with a budget of its own (LG-03).
        attempts = somebody.model.attempts if badge else Attempts()
        somebody.model, ended = somebody.model.with_password(new, self.clock.now, badge.family if badge else None)
        somebody.model = replace(somebody.model, attempts=attempts)
        assert answer.sessions_ended == ended

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
