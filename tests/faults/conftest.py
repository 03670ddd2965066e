"""The receiver of the delivering tests, for the fault tests too."""

from tests.delivering.conftest import one_sink as one_sink
from tests.delivering.conftest import sink as sink
