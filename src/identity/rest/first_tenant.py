"""Signing in to products that know one tenant at most: whoever belongs to several enters the first."""

from __future__ import annotations

from typing import Any

from identity.rest.exchange import Exchange
from identity_pb.v1 import auth_service_pb2 as auth


async def first_tenant(exchange: Exchange, answer: Any) -> Any:
    """A LoginResponse or VerifyOtpResponse; a SelectTenantResponse, of the first by name, where there is a choice.

    All three say in `result` how far the sign-in got. Raises a Refusal.
    """
    if answer.WhichOneof("result") != "tenant_choice":
        return answer
    choice = answer.tenant_choice
    request = auth.SelectTenantRequest(challenge_token=choice.challenge_token, tenant_id=choice.tenants[0].id)
    return await exchange.call(exchange.upstream.auth.SelectTenant, request)
