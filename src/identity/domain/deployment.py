"""The deployment itself: the one row that says whether the first-run set-up is still open."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class DeploymentStore(Protocol):
    """A single row, written once and never removed (AZ-06)."""

    def is_set_up(self) -> bool: ...

    def complete_setup(self, now: datetime) -> bool:
        """Close the set-up for ever; False when somebody else has."""
