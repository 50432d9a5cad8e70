"""Devices that are known by an earlier session, and the sign-ins that they begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("known_device", sa.Uuid()))
    op.add_column("challenges", sa.Column("known_device", sa.Uuid()))
