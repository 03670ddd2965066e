"""A receiver for the tests of replays."""

from tests.delivering.conftest import one_sink, sink

__all__ = ["one_sink", "sink"]
