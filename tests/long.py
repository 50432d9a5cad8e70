"""The switch between what every commit can afford and what a night can.

IDENTITY_TEST_LONG=1 runs outages, floods and storms at the length that the requirements give them.
"""

from __future__ import annotations

import os

LONG = os.environ.get("IDENTITY_TEST_LONG") == "1"
