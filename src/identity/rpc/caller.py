"""The call in progress, as the code that serves it may ask about it: who calls, and from where.

The pipeline sets it in the context of the call; a method that runs in a thread gets a copy of that context,
so that calls never see each other's callers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from identity.domain.callers import Caller, Source
from identity.domain.errors import (
    PasswordChangeRequired,
    PermissionDenied,
    SessionRevoked,
    TokenExpired,
    Unauthenticated,
)
from identity.rpc.access import MethodAccess
from identity_pb.v1.access_pb2 import ACCESS_PUBLIC

Authenticate = Callable[[str], Caller]
"""Proves an access token; raises `TokenInvalid`, `TokenExpired` or `SessionRevoked`. Fast, without I/O."""

AuthenticateService = Callable[[str, str], str]
"""Proves that a service key is granted a scope, and gives the key's name. Fast, without I/O."""


class CallSpan(Protocol):
    """The span of a call in a trace."""

    trace_id: str

    def end(self, code: str, reason: str) -> None: ...


NOWHERE: Final = Source()

_BEARER: Final = "Bearer "


@dataclass(frozen=True)
class Proofs:
    """What proves credentials; `restricted` are the paths that a session with a scope may call."""

    authenticate: Authenticate
    authenticate_service: AuthenticateService | None = None
    restricted: frozenset[str] = frozenset()


class Call:
    """One call: what is known about it, and the credential it came with, proven only when it is needed.

    `begun` and `gone` tell the thread and the waiting side of each other: whether the method has begun, and
    whether anybody still waits for it.
    """

    __slots__ = (
        "_proofs",
        "access",
        "authorization",
        "begun",
        "caller",
        "gone",
        "network",
        "request_id",
        "service",
        "source",
        "span",
        "traceparent",
    )

    def __init__(self, access: MethodAccess, proofs: Proofs | None = None) -> None:
        self._proofs = proofs
        self.access = access
        self.authorization: str | None = None
        self.begun = False
        self.caller: Caller | None = None
        self.gone = False
        self.network: str | None = None
        self.request_id = ""
        self.service: str | None = None
        self.source = NOWHERE
        self.span: CallSpan | None = None
        self.traceparent: str | None = None

    def prove(self) -> None:
        """Proves what the access of the method asks for: afresh, each time that a stream is about to tell more."""
        self.caller = self.service = None
        if self.access.needs_caller:
            self.prove_caller()
        elif self.access.needs_service:
            self.prove_service()

    def prove_caller(self) -> Caller:
        """Gives the holder of the access token, who may call this method as far as the session's scope goes."""
        if self.caller is None:
            if self._proofs is None:
                raise Unauthenticated()
            caller = self._proofs.authenticate(self._bearer())
            if caller.scope is not None and self.access.method not in self._proofs.restricted:
                raise PasswordChangeRequired()
            self.caller = caller
        return self.caller

    def prove_service(self) -> str:
        """Gives the name of the service key, which is granted the method's scope."""
        if self.service is None:
            if self._proofs is None or self._proofs.authenticate_service is None or not self.access.scope:
                raise Unauthenticated()
            self.service = self._proofs.authenticate_service(self._bearer(), self.access.scope)
        return self.service

    def _bearer(self) -> str:
        if self.authorization is None or not self.authorization.startswith(_BEARER):
            raise Unauthenticated()
        return self.authorization[len(_BEARER) :]


_current: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    """Gives the call in progress; outside of one, raises `LookupError`: a mistake of ours."""
    return _current.get()


def current_request_id() -> str | None:
    """Gives the id under which the log tells about the call in progress; None outside of one."""
    call = _current.get(None)
    return None if call is None else call.request_id


def current_trace_id() -> str | None:
    """Gives the id of the trace that the call in progress is part of, if there is one."""
    call = _current.get(None)
    return None if call is None or call.span is None else call.span.trace_id


def enter(call: Call) -> None:
    """Makes this the call in progress for the rest of the current context."""
    _current.set(call)


def current_caller() -> Caller:
    """Gives the caller; raises `Unauthenticated` when there is none."""
    caller = current_call().caller
    if caller is None:
        raise Unauthenticated()
    return caller


def optional_caller() -> Caller | None:
    """Gives the caller of a method that anybody may call; None without a bearer.

    A bearer that is sent has to be good: raises what `authenticate` raises.
    """
    call = current_call()
    return None if call.caller is None and call.authorization is None else call.prove_caller()


def optional_service() -> str | None:
    """Gives the service key behind a call of a PUBLIC method that names a scope; None without a bearer.

    A bearer that is sent has to be a key with that scope: raises what `authenticate_service` raises.
    """
    call = current_call()
    return None if call.service is None and call.authorization is None else call.prove_service()


def current_source() -> Source:
    """Says where the call comes from."""
    return current_call().source


@contextmanager
def calling(caller: Caller | None = None, source: Source | None = None, *, method: str = "") -> Iterator[Call]:
    """Runs servicer methods without a server, as tests do."""
    call = Call(MethodAccess(method, ACCESS_PUBLIC))
    call.caller = caller
    call.source = source or NOWHERE
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)


def proven_caller() -> Caller | None:
    """Gives the caller if the bearer proves one; None for a missing, bad or expired bearer.

    For calls that must never fail for want of a live token, such as signing out.
    """
    try:
        return optional_caller()
    except (Unauthenticated, SessionRevoked, TokenExpired):
        return None


def proven_service() -> str | None:
    """Gives the service key behind a call of a PUBLIC method that names a scope; None for any other bearer.

    A key without the scope is not a key here: the answer is the public's.
    """
    try:
        return optional_service()
    except (Unauthenticated, PermissionDenied):
        return None
