"""The steps of the schema: they lead to exactly the tables of the code, and may run anywhere at any time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from tests.store.children import child, upgrade_at_a_word

from identity.domain.errors import ServiceUnavailable
from identity.store import migrate
from identity.store.database import Database
from identity.store.failures import StoreError
from identity.store.tables import metadata
from identity.store.transaction import Transaction

STEPS = migrate.pending("sqlite:///no-such-file.db")


@contextmanager
def connection_to(url: str) -> Iterator[Connection]:
    engine: Engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_from_nothing_to_the_tables_of_the_code(empty_url: str) -> None:
    assert STEPS
    assert migrate.pending(empty_url) == STEPS
    assert migrate.upgrade(empty_url) == STEPS
    assert migrate.pending(empty_url) == []
    with connection_to(empty_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_steps_are_numbered_in_the_order_in_which_alembic_takes_them() -> None:
    revisions = [script.revision for script in ScriptDirectory(str(migrate.SCRIPTS)).walk_revisions()]

    assert revisions[::-1] == STEPS


def test_nothing_of_alembic_is_loaded_where_nothing_is_to_do(migrated_file: Path) -> None:
    """Every start asks, and must not wait for an import."""
    program = f"import sys; from identity.store import migrate; migrate.upgrade('sqlite:///{migrated_file}');"
    program += "sys.exit('alembic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_constraints_have_the_same_names_as_in_the_code(empty_url: str) -> None:
    """What is to be altered one day must be found by its name; the comparison above looks past some of them."""
    migrate.upgrade(empty_url)
    with connection_to(empty_url) as connection:
        inspector = inspect(connection)
        for table in metadata.sorted_tables:
            # Without primary keys: SQLite has no name for one that it counts by itself.
            named = {constraint.name for constraint in table.constraints if constraint is not table.primary_key}
            found = {
                *(key["name"] for key in inspector.get_foreign_keys(table.name)),
                *(unique["name"] for unique in inspector.get_unique_constraints(table.name)),
                *(check["name"] for check in inspector.get_check_constraints(table.name)),
            }
            assert named == found, table.name


def test_upgrading_again_does_nothing(database_url: str, database: Database[Transaction]) -> None:
    assert migrate.upgrade(database_url) == []
    database.ping()


def test_two_processes_may_upgrade_at_once(empty_url: str) -> None:
    with child(upgrade_at_a_word, empty_url) as (_, one), child(upgrade_at_a_word, empty_url) as (_, other):
        pipes = (one, other)
        assert [pipe.recv() for pipe in pipes] == ["ready", "ready"]
        for pipe in pipes:
            pipe.send("go")
        assert sorted((pipe.recv() for pipe in pipes), key=len) == [[], STEPS]
    assert migrate.pending(empty_url) == []


def test_a_database_of_a_later_release_is_left_alone(database_url: str) -> None:
    """F-23: the release before runs on after its successor has migrated."""
    with connection_to(database_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    try:
        assert migrate.pending(database_url) == []
        assert migrate.upgrade(database_url) == []
    finally:
        with connection_to(database_url) as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :step"), {"step": STEPS[-1]})
            connection.commit()


def test_a_step_that_fails_leaves_nothing_behind(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(migrate.SCRIPTS, scripts)
    (scripts / "versions" / "9999_wrong.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{STEPS[-1]}'\n"
        "def upgrade() -> None:\n"
        "    op.execute('CREATE TABLE half (id integer)')\n"
        "    op.execute('SELECT 1 FROM nowhere')\n"
    )
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)
    with pytest.raises(StoreError, match="nowhere"):
        migrate.upgrade(empty_url)
    assert migrate.pending(empty_url) == [*STEPS, "9999"]
    with connection_to(empty_url) as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_step_that_would_leave_orphans_is_refused(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(migrate.SCRIPTS, scripts)
    (scripts / "versions" / "9999_orphans.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{STEPS[-1]}'\n"
        "def upgrade() -> None:\n"
        "    op.execute('CREATE TABLE orphans (id integer REFERENCES accounts (number))')\n"
        "    op.execute('INSERT INTO orphans VALUES (77)')\n"
    )
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)
    with pytest.raises(StoreError, match="refer to nothing"):
        migrate.upgrade(database_url)
    assert migrate.pending(database_url) == ["9999"]


def test_asking_what_is_pending_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "identity.db"
    assert migrate.pending(f"sqlite:///{path}") == STEPS
    assert not path.exists()


def test_a_database_out_of_reach_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable) as caught:
        migrate.upgrade(f"postgresql://postgres@/x?host={tmp_path}")
    assert str(tmp_path) in str(caught.value.__cause__)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_busy_table_is_not_waited_for_without_end(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that waits for a lock makes everybody queue behind it."""
    monkeypatch.setitem(migrate.POSTGRES_SETTINGS, "lock_timeout", 50)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE alembic_version")
        with pytest.raises(ServiceUnavailable):
            migrate.upgrade(database_url)
    assert migrate.upgrade(database_url) == []
