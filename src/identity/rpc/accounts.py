"""AccountService: running the place."""

from __future__ import annotations

from uuid import UUID

import grpc

from identity.domain.account.create_account import Newcomer, create_account
from identity.domain.account.delete_account import delete_account
from identity.domain.account.members import Member
from identity.domain.account.read_accounts import Filter, Order, get_account, list_accounts
from identity.domain.account.set_status import Action, set_account_status
from identity.domain.account.update_account import AccountChanges, update_account
from identity.domain.accounts import Account, canonical_email
from identity.domain.paging import PageRequest
from identity.domain.ports import World
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source
from identity.rpc.convert import read
from identity.rpc.identifiers import canonical_phone
from identity.rpc.work import hashes
from identity_pb.v1 import account_service_pb2 as pb
from identity_pb.v1 import resources_pb2
from identity_pb.v1.account_service_pb2_grpc import AccountServiceServicer

_ORDER = {
    pb.ACCOUNT_ORDER_EMAIL: Order.EMAIL,
    pb.ACCOUNT_ORDER_NEWEST: Order.NEWEST,
    pb.ACCOUNT_ORDER_OLDEST: Order.OLDEST,
}
_ACTION = {
    pb.ACCOUNT_ACTION_DISABLE: Action.DISABLE,
    pb.ACCOUNT_ACTION_ENABLE: Action.ENABLE,
    pb.ACCOUNT_ACTION_UNLOCK: Action.UNLOCK,
}


class AccountService(AccountServiceServicer):
    """Each method reads its request, calls one domain function and builds the response."""

    def __init__(self, world: World) -> None:
        self._world = world

    @hashes
    def CreateAccount(
        self, request: pb.CreateAccountRequest, context: grpc.ServicerContext
    ) -> pb.CreateAccountResponse:
        wish = Newcomer(
            email=canonical_email(request.email),
            phone=canonical_phone(request.phone, request.phone_country) if request.HasField("phone") else None,
            name=convert.read_name(request),
            role=read(request, "role"),
            department_id=read(request, "department_id"),
            team_ids=tuple(request.team_ids),
            locale=read(request, "locale"),
        )
        member = create_account(self._world, current_caller(), wish, current_source())
        return pb.CreateAccountResponse(account=_account(member.account), membership=_membership(member))

    def GetAccount(self, request: pb.GetAccountRequest, context: grpc.ServicerContext) -> pb.GetAccountResponse:
        member = get_account(self._world, current_caller(), UUID(request.id))
        return pb.GetAccountResponse(account=_account(member.account), membership=_membership(member))

    def ListAccounts(self, request: pb.ListAccountsRequest, context: grpc.ServicerContext) -> pb.ListAccountsResponse:
        wanted = Filter(
            role=read(request, "role"),
            status=convert.read_status(request.status),
            query=read(request, "query"),
            department_id=read(request, "department_id"),
            order=_ORDER.get(request.order, Order.NAME),
        )
        page = list_accounts(self._world, current_caller(), wanted, PageRequest(request.page_size, request.page_token))
        members = [pb.Member(account=_account(row.account), membership=_membership(row)) for row in page.rows]
        return pb.ListAccountsResponse(members=members, next_page_token=page.next_token)

    def UpdateAccount(
        self, request: pb.UpdateAccountRequest, context: grpc.ServicerContext
    ) -> pb.UpdateAccountResponse:
        given = request.changes
        changes = AccountChanges(
            mask=frozenset(request.update_mask.paths),
            first_name=read(given, "first_name"),
            last_name=read(given, "last_name"),
            name=read(given, "name"),
            locale=read(given, "locale"),
            avatar_url=read(given, "avatar_url"),
            role=read(given, "role"),
            department_id=read(given, "department_id"),
            team_ids=tuple(given.team_ids),
        )
        member = update_account(self._world, current_caller(), UUID(request.id), changes, current_source())
        return pb.UpdateAccountResponse(account=_account(member.account), membership=_membership(member))

    def SetAccountStatus(
        self, request: pb.SetAccountStatusRequest, context: grpc.ServicerContext
    ) -> pb.SetAccountStatusResponse:
        action = _ACTION[request.action]
        account, ended = set_account_status(self._world, current_caller(), UUID(request.id), action, current_source())
        return pb.SetAccountStatusResponse(account=_account(account), sessions_ended=ended)

    def DeleteAccount(
        self, request: pb.DeleteAccountRequest, context: grpc.ServicerContext
    ) -> pb.DeleteAccountResponse:
        erased = delete_account(self._world, current_caller(), UUID(request.id), current_source())
        return pb.DeleteAccountResponse(erased=erased)


def _account(account: Account) -> resources_pb2.Account:
    return convert.account(account, to_itself=account.id == current_caller().account_id)


def _membership(member: Member) -> resources_pb2.Membership | None:
    return convert.membership(member.membership, member.account, member.role)
