"""The merchant product's front ends, as tests drive them."""

from __future__ import annotations

from typing import Any

import jwt
from tests.rest.web import Web
from tests.running import new_email

PASSWORD = "Commerce-2026"
OTHER = "Commerce-2027"
NAME = {"firstName": "Marie", "lastName": "Curie"}


async def registered(front: Web, **fields: Any) -> str:
    """The address of somebody new, by default of a plain user."""
    email = new_email()
    await front.call("POST", "/auth/register", {**NAME, "email": email, "password": PASSWORD, "role": "User", **fields})
    return email


async def login(
    front: Web,
    email: str,
    password: str = PASSWORD,
    *,
    origin: str = "dashboard",
    path: str = "/auth/login/manager",
    **options: Any,
) -> Any:
    """The answer to the right password, or to whatever was typed."""
    return await front.call("POST", path, {"email": email, "password": password, "origin": origin}, **options)


async def proven(front: Web, email: str, *, origin: str = "dashboard") -> Any:
    """The first sign-in of a manager, with the code that was mailed."""
    await login(front, email, origin=origin)
    code = await front.service.mailbox.alone(email, "[0-9]{6}")
    return await front.call("POST", "/auth/otp", {"emailOtp": code})


def claims(answer: Any) -> Any:
    """What the access token of an answer says."""
    return jwt.decode(answer["token"], options={"verify_signature": False})
