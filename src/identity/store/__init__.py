"""The database: tables, one module per noun, engines and migrations.

Implements the ports of `identity.domain` and returns its values, never rows. May import
`identity.domain`, SQLAlchemy, Alembic and psycopg; alone in speaking SQL. Races are decided by unique
indexes and conditional statements, so everything here holds for several processes on one database.
"""
