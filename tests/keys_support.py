"""Keys of the API, for tests."""

from collections.abc import Sequence
from typing import Any

from django.test import Client

from destinations.access.keys import NewKey, make_key
from destinations.access.scopes import HUB_WIDE, SCOPES
from tests.api_support import Api


def new_key(*scopes: str, **values: Any) -> NewKey:
    """Make a key: with every scope that it can use, unless some are named."""
    useful = [scope for scope in SCOPES if not values.get("sources") or scope not in HUB_WIDE]
    return make_key(name=values.pop("name", "deploy script"), scopes=scopes or useful, **values)


def limited_later(new: NewKey, sources: Sequence[str]) -> NewKey:
    """Limit a key to sources, whatever its scopes: earlier versions made such keys."""
    new.row.sources = list(sources)
    new.row.save(update_fields=["sources"])
    return new


def client_of(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def api_of(*scopes: str, **values: Any) -> Api:
    return Api(client=client_of(new_key(*scopes, **values).text))
