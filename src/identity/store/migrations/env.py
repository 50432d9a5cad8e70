"""Run by Alembic around each of its commands; `identity.store.migrate` brings the connection, in a transaction."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import TypeDecorator

from identity.store.tables import metadata

connection = context.config.attributes["connection"]


def _render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Steps name plain types: a step must mean the same when `tables.py` has moved on."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


context.configure(
    connection=connection,
    target_metadata=metadata,
    render_item=_render,
    # SQLite alters a table by making it anew, and can do that inside a transaction.
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
