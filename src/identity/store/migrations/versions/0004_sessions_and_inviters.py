"""Sessions of a tenant, and invitations of somebody, are found without a look at all of them."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_tenant_id_role", "sessions", ["tenant_id", "role"], unique=False)
    op.create_index("ix_invites_invited_by_id", "invites", ["invited_by_id"], unique=False)
