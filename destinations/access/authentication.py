"""The API's log-in by key: ``Authorization: Bearer hub_live_…``."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from destinations.access.actors import KeyActor
from destinations.access.keys import START, find_key
from destinations.access.rates import count_failure

_BEARER = "bearer"
_A_KEY = "(an API key)"


class KeyAuthentication(authentication.BaseAuthentication):
    """An API key. A wrong, expired or revoked one is answered 401, and none of these differs from another."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the key at work; ``None`` where no key was sent."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != _BEARER:
            return None
        key = find_key(text.strip())
        if key is None:
            count_failure(request._request)
            raise exceptions.AuthenticationFailed(f"No active API key is this one. A key begins with {START}.")
        return KeyActor(key), key

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 names as the way to log in."""
        return 'Bearer realm="hub"'


def noted_name(request: Any, credentials: Mapping[str, Any] | None) -> str | None:
    """Return the user name that a failed log-in is noted under: never a key that was typed in its place."""
    name = credentials.get("username") if credentials else request.POST.get("username")
    return _A_KEY if name and START in str(name) else name


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the schema names the key."""

    target_class = KeyAuthentication
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return OpenAPI's security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": f"{START}…"}
