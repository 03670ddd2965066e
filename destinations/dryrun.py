"""Trying a change out: it is made, looked at, and taken back."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import transaction


@contextmanager
def tried_out(dry_run: bool) -> Iterator[None]:
    """Take back whatever is written inside, where ``dry_run`` says so; else do nothing.

    What is done only on commit, such as waking workers, is then not done at all.
    """
    if not dry_run:
        yield
        return
    with structlog.contextvars.bound_contextvars(dry_run=True), transaction.atomic():
        yield
        transaction.set_rollback(True)
