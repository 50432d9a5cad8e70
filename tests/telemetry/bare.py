"""A process that builds a service and tells what that has loaded. It may import nothing that loads more."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path

from identity.server import Service
from identity.settings import load_settings


def build(place: Path, pipe: Connection) -> None:
    """What runs in the process."""
    Service(load_settings(data_dir=place)).close()
    pipe.send([name for name in ("prometheus_client", "opentelemetry") if name in sys.modules])
