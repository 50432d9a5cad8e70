"""Pages of a list: an opaque token that says where the next one begins, and nothing that can be forged (AZ-07)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from identity.domain.errors import InvalidRequest
from identity.domain.ports import VaultError, World

T = TypeVar("T")

DEFAULT_SIZE = 20
LARGEST_SIZE = 100


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows somebody wants, and from where; 0 and the empty token for the default and the first page."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        return min(self.size or DEFAULT_SIZE, LARGEST_SIZE)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, and the token of the next page; empty on the last."""

    rows: list[T]
    next_token: str


def read_position(world: World, request: PageRequest, of: str) -> list[str] | None:
    """The row after which a page begins; None for the first page.

    `of` names the list and its filters: a token of another one is refused. Raises InvalidRequest.
    """
    if not request.token:
        return None
    try:
        sealed = base64.urlsafe_b64decode(request.token + "=" * (-len(request.token) % 4))
        if _spell(sealed) != request.token:
            raise ValueError("another spelling")  # the decoder skips what it does not know, and takes + and / too
        position: list[str] = json.loads(world.vault.open(sealed, context=f"page:{of}"))
        return position
    except (VaultError, binascii.Error, ValueError):
        raise InvalidRequest("The page token is not one of this list.", field="page_token") from None


def cut(world: World, request: PageRequest, of: str, rows: Sequence[T], position: Callable[[T], list[str]]) -> Page[T]:
    """A page from one row more than it holds, which tells whether there is a next one."""
    shown = list(rows[: request.limit])
    if len(rows) <= request.limit:
        return Page(shown, "")
    sealed = world.vault.seal(json.dumps(position(shown[-1])).encode(), context=f"page:{of}")
    return Page(shown, _spell(sealed))


def _spell(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
