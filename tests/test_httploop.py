"""The turning wheel of the HTTP client."""

import threading
from pathlib import Path

import pycurl
import pytest

from destinations.httploop import CurlLoop

pytestmark = pytest.mark.databaseless


def test_a_transfer_that_ends_as_it_begins_is_not_waited_for(tmp_path: Path) -> None:
    """As where a server on the same machine answers before libcurl looks for its answer."""
    (tmp_path / "body").write_bytes(b"here")
    loop, easy = CurlLoop(1), pycurl.Curl()
    easy.setopt(pycurl.URL, (tmp_path / "body").as_uri())  # read within the first step
    easy.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    loop.multi.add_handle(easy)
    turned = threading.Thread(target=loop.turn, args=(600.0, 1), daemon=True)
    turned.start()
    turned.join(60)
    assert not turned.is_alive()
    assert loop.multi.info_read()[1] == [easy]
