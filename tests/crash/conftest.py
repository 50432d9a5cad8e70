"""A database on each engine and a post office, both of which outlive the service of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import FreshDatabase
from tests.crash.post import Post
from tests.mail.sink import running


@pytest.fixture
def post() -> Iterator[Post]:
    post = Post()
    with running(post):
        yield post


@pytest.fixture
def url(fresh_database: FreshDatabase) -> Iterator[str]:
    with fresh_database() as url:
        yield url
