"""A sink for the tests of what is counted."""

from tests.delivering.conftest import one_sink, sink

__all__ = ["one_sink", "sink"]
