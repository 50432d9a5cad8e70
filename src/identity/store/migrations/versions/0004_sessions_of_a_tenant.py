"""Sessions of a tenant are found without a look at all of them."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_tenant_id_role", "sessions", ["tenant_id", "role"], unique=False)
