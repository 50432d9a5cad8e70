"""The ledger of P-03: every proof that was handed out, and the one call for which it was good.

After each call it compares what people may do now with what they might before. Whatever was gained must have been
gained by a call that carried the proof for it: made for this purpose, for this person, never used before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyotp
from tests.property.playing import Done, Playing
from tests.property.privileges import Privileges, privileges

from identity.domain.mails import MailKind

MINUTE = timedelta(minutes=1)
LIFETIMES = {
    "verify": 24 * 60 * MINUTE,
    "reset": 60 * MINUTE,
    "unlock": 24 * 60 * MINUTE,
    "invite": 7 * 24 * 60 * MINUTE,
    "challenge": 10 * MINUTE,
    "choice": 10 * MINUTE,
    "enrolment": 10 * MINUTE,
}
# By RPC: the field that carries a proof, what the proof has to be made for, and whether the call uses it up.
PRESENTED = {
    "VerifyEmail": ("token", "verify", True),
    "ValidatePasswordReset": ("token", "reset", False),
    "ResetPassword": ("token", "reset", True),
    "UnlockAccount": ("token", "unlock", True),
    "ValidateInvite": ("token", "invite", False),
    "AcceptInvite": ("token", "invite", True),
    "DeclineInvite": ("token", "invite", True),
    "SendOtp": ("challenge_token", "challenge", False),
    "VerifyOtp": ("challenge_token", "challenge", True),
    "SelectTenant": ("challenge_token", "choice", True),
    "ConfirmTotpEnrollment": ("enrollment_token", "enrolment", True),
}
MAILED = {
    MailKind.VERIFY_EMAIL: "verify",
    MailKind.PASSWORD_RESET: "reset",
    MailKind.UNLOCK_ACCOUNT: "unlock",
    MailKind.INVITE: "invite",
}
FRESH = {"BeginTotpEnrollment", "RemoveFactor", "RegenerateRecoveryCodes", "SetEmailOtp"}
SECOND = {"otp", "email", "recovery"}


@dataclass
class Proof:
    """A secret that was handed out: what it is for, whose it is, and for how long; of an invitation, to what."""

    kind: str
    email: str
    until: datetime
    tenant_id: str = ""
    role: str = ""
    invite_id: str = ""
    is_live: bool = True


class Ledger:
    """Watches a play."""

    def __init__(self, playing: Playing) -> None:
        self._playing, self._service, self._mind = playing, playing.service, playing.mind
        self.proofs: dict[str, Proof] = {}
        self._mailed_codes: dict[str, str] = {}
        self._used_codes: set[tuple[str, str]] = set()
        self._last_step: dict[str, int] = {}
        self._before = privileges(playing.service, playing.serial)

    def __call__(self, done: Done) -> None:
        proof = self._proof_of(done)
        # What a refused call has done all the same is found by the next one that is not, or in the end.
        if done.answer.ok:
            after = privileges(self._service, self._playing.serial)
            self._check_fresh(done)
            self._check_gains(done, proof, self._before, after)
            self._before = after
        self._settle(done, proof)

    def close(self) -> None:
        """The last calls, which were refused, have changed nothing."""
        assert privileges(self._service, self._playing.serial) == self._before, "a refused call had an effect"

    # The proof of a call.

    def _proof_of(self, done: Done) -> Proof | None:
        """The proof that an answered call carried, which must be good for it."""
        field, kind, uses_up = PRESENTED.get(method_of(done), ("", "", False))
        token = getattr(done.request, field, "") if done.answer.ok and field else ""
        if not token:
            return None
        proof = self.proofs.get(token)
        assert proof is not None, "a token that was never handed out is good"
        assert proof.kind == kind, f"a token for {proof.kind} is good for {kind}"
        assert proof.is_live, "a proof is good for a second time"
        assert self._service.clock.now < proof.until, "a proof outlives its time"
        proof.is_live = not uses_up
        return proof

    def _check_fresh(self, done: Done) -> None:
        """Whoever changes how they are known shows the password, and a code where they have a factor."""
        rpc, request = method_of(done), done.request
        if rpc == "ChangePassword" or rpc in FRESH:
            email = done.actor or request.identifier
            assert request.current_password == self._mind.passwords.get(email), "a wrong password is good"
            if self._before.has_factor(email):
                assert self._is_good_code(email, request.second_factor, f"proof of {email}"), "no code was needed"
        elif rpc == "VerifyOtp":
            email = self.proofs[request.challenge_token].email
            assert self._is_good_code(email, request, request.challenge_token), "a wrong code is good"
        elif rpc == "ConfirmTotpEnrollment":
            assert self.proofs[request.enrollment_token].email == done.actor, "another's enrolment is good"
            seed = self._mind.known[f"seed of {done.actor}"][-1]
            assert self._step(done.actor, seed, request.code, renewed=True), "a wrong first code is good"

    def _is_good_code(self, email: str, given: Any, challenge: str) -> bool:
        """Whether a code is the person's, and new; it is not a second time."""
        kind = given.WhichOneof("code") or ""
        code = getattr(given, kind, "")
        if kind == "recovery_code":
            is_new = (email, code) not in self._used_codes
            self._used_codes.add((email, code))
            return is_new and code in self._mind.codes.get(email, ())
        if kind == "email_code" or (kind == "otp" and email not in self._mind.apps):
            return self._mailed_codes.pop(challenge, None) == code
        return self._step(email, self._mind.apps.get(email, ""), code)

    def _step(self, email: str, seed: str, code: str, *, renewed: bool = False) -> bool:
        now = int(self._service.clock.now.timestamp()) // 30
        steps = [step for step in (now + 1, now, now - 1) if seed and pyotp.TOTP(seed).generate_otp(step) == code]
        is_new = bool(steps) and (renewed or steps[0] > self._last_step.get(email, 0))
        self._last_step[email] = steps[0] if is_new else self._last_step.get(email, 0)
        return is_new

    # What was gained.

    def _check_gains(self, done: Done, proof: Proof | None, before: Privileges, after: Privileges) -> None:
        rpc, by_mail = method_of(done), {"ResetPassword", "AcceptInvite"}
        for email, account in after.accounts.items():
            was = before.accounts.get(email)
            proven = proof is not None and proof.email == email
            if account.is_proven and not (was and was.is_proven):
                temporary = was is not None and was.must_change and rpc in ("Login", "VerifyOtp", "SelectTenant")
                setup = rpc == "Setup" and done.request.email == email
                assert (proven and rpc in {"VerifyEmail", *by_mail}) or temporary or setup, f"{email} is proven"
            if was and account.password != was.password:
                own = rpc == "ChangePassword" and email == (done.actor or done.request.identifier)
                assert (proven and rpc in by_mail) or own, f"the password of {email} is another"
            if was and account.status != was.status:
                assert rpc == "SetAccountStatus" and self._administers(done.actor), f"{email} is {account.status}"
            if was and was.is_locked and not account.is_locked:
                unlocked = rpc == "SetAccountStatus" and self._administers(done.actor)
                assert (proven and rpc in {"UnlockAccount", "ResetPassword"}) or unlocked, f"{email} is unlocked"
        for place in after.memberships.items() - before.memberships.items():
            self._check_membership(done, proof, *place[0], place[1])
        for (email, kind), id in after.factors.items():
            if before.factors.get((email, kind)) != id:
                own = done.actor == email and rpc in ("ConfirmTotpEnrollment", "SetEmailOtp")
                assert own, f"{email} has another {kind}"
        for email, kind in before.factors.keys() - after.factors.keys():
            own = done.actor == email and rpc in FRESH
            gone = email not in after.accounts and rpc == "DeleteAccount"
            assert own or gone or (proof and proof.email == email and rpc in by_mail), f"{email} has no {kind}"
        for id in after.sessions.keys() - before.sessions.keys():
            self._check_session(done, proof, before, *after.sessions[id])
        assert after.is_set_up == before.is_set_up or rpc == "Setup", "the place is set up"

    def _check_membership(self, done: Done, proof: Proof | None, email: str, tenant_id: str, role: str) -> None:
        match method_of(done):
            case "AcceptInvite":
                assert proof is not None, "nothing was offered"
                assert (proof.email, proof.tenant_id, proof.role) == (email, tenant_id, role), "not what was offered"
            case "CreateAccount" | "UpdateAccount":
                assert self._administers(done.actor), f"{email} is {role} by nobody's right"
            case rpc:
                assert rpc in ("Register", "Setup"), f"{email} is {role}"
                assert done.request.email == email, f"{email} is {role}"

    def _check_session(
        self, done: Done, proof: Proof | None, before: Privileges, email: str, amr: tuple[str, ...]
    ) -> None:
        """A session is opened for who has proven the password, and the factor that they have."""
        was, request = before.accounts.get(email), done.request
        match method_of(done):
            case "Login":
                assert request.identifier == email, "somebody else came in"
                assert request.password == self._mind.passwords.get(email), "a wrong password opens a session"
                assert was and (was.is_proven or was.must_change) and not before.has_factor(email), (
                    "a step was left out"
                )
            case "VerifyOtp" | "SelectTenant":
                assert proof is not None and proof.email == email, "somebody else came in"
            case "AcceptInvite":
                assert proof is not None and proof.email == email, "somebody else came in"
                assert done.actor == email or not (was and was.is_proven), "somebody else's account was entered"
            case "SwitchTenant":
                assert done.actor == email, "somebody else came in"
            case rpc:
                assert rpc == "Setup" and request.email == email, f"{rpc} opens a session"
        assert was is None or was.status == "active", "somebody who is disabled came in"
        assert not before.has_factor(email) or SECOND & set(amr) or self._drops_factors(done, was), "no second factor"

    @staticmethod
    def _drops_factors(done: Done, was: Any) -> bool:
        """Whether the owner of an unproven address takes it over, and with it goes what a squatter has set (RC-08)."""
        return method_of(done) == "AcceptInvite" and was is not None and not was.is_proven

    def _administers(self, email: str) -> bool:
        return any(
            whose == email and role in ("owner", "admin") for (whose, _), role in self._before.memberships.items()
        )

    # What was handed out, and what is over.

    def _settle(self, done: Done, proof: Proof | None) -> None:
        now, rpc = self._service.clock.now, method_of(done)
        if done.answer.ok and rpc in ("ResetPassword", "ChangePassword"):
            self._end(proof.email if proof else done.actor or done.request.identifier, set(LIFETIMES) - {"invite"})
        if done.answer.ok and rpc in ("RevokeInvite", "ResendInvite"):
            for each in self.proofs.values():
                each.is_live = each.is_live and each.invite_id != done.request.id
        for letter in done.letters:
            if (kind := MAILED.get(letter.kind)) is not None:
                invite = done.answer.message.invite if kind == "invite" else None  # type: ignore[union-attr]
                place = (invite.tenant_id, invite.role, invite.id) if invite else ()
                self._end(letter.recipient, {kind}, place[:1])
                until = now + LIFETIMES[kind]
                self.proofs[letter.secret] = Proof(kind, letter.recipient, until, *place)
            elif letter.kind is MailKind.SIGN_IN_CODE:
                self._mailed_codes[self._challenge_of(done) or f"proof of {letter.recipient}"] = letter.secret
        self._learn_from_answer(done, proof, now)

    def _end(self, email: str, kinds: set[str], tenant: tuple[str, ...] = ()) -> None:
        """A newer proof kills the older, and a new password all; an invitation those to the same place."""
        for each in self.proofs.values():
            if each.email == email and each.kind in kinds and tenant in ((), (each.tenant_id,)):
                each.is_live = False

    def _learn_from_answer(self, done: Done, proof: Proof | None, now: datetime) -> None:
        answer: Any = done.answer.message
        whose = proof.email if proof else getattr(done.request, "identifier", "") or done.actor
        result = (
            answer.WhichOneof("result") if answer is not None and "result" in answer.DESCRIPTOR.oneofs_by_name else ""
        )
        kind = {"mfa_challenge": "challenge", "tenant_choice": "choice"}.get(result)
        if kind is not None:
            self.proofs[getattr(answer, result).challenge_token] = Proof(kind, whose, now + LIFETIMES[kind])
        if method_of(done) == "BeginTotpEnrollment" and answer is not None:
            self.proofs[answer.enrollment_token] = Proof("enrolment", done.actor, now + LIFETIMES["enrolment"])
        if token := getattr(answer, "reset_token", ""):
            self._end(whose, {"reset"})
            self.proofs[token] = Proof("reset", done.request.identifier, now + LIFETIMES["reset"])

    @staticmethod
    def _challenge_of(done: Done) -> str:
        answer: Any = done.answer.message
        if method_of(done) == "SendOtp":
            return str(done.request.challenge_token)
        challenge = getattr(answer, "mfa_challenge", None)
        return str(challenge.challenge_token) if challenge is not None else ""


def method_of(done: Done) -> str:
    return done.rpc.partition(".")[2]
