"""What the tests of the API of sources, destinations and statistics share."""

from django.test import Client

from destinations.access.keys import make_key
from tests.api_support import Api


def key_api(*scopes: str, sources: tuple[str, ...] = ()) -> Api:
    """Return the API as a key with these scopes calls it, limited to these sources."""
    text = make_key(name="k", scopes=scopes, sources=sources).text
    return Api(client=Client(headers={"Authorization": f"Bearer {text}"}))
