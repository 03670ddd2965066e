"""Who is let through to a view of the API, how often, and what a refusal says."""

from collections.abc import Sequence
from typing import Any, NoReturn

from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from destinations.access.actors import KeyActor, principal_of
from destinations.access.rates import count_call, tell_rate
from destinations.access.scopes import least_scopes


class Guarded(APIView):
    """A view that counts its callers' requests, and tells a key which scope it lacks."""

    @property
    def by(self) -> Any:
        """Return who calls, for use cases and limits; ``None`` where the schema is being made."""
        return getattr(self.request, "user", None)

    def perform_authentication(self, request: Request) -> None:
        """Find out who calls, and refuse a request too many, also of somebody who may not do it."""
        super().perform_authentication(request)
        principal = principal_of(request.user) if request.user.is_authenticated else ""
        count_call(request._request, principal)

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        """Raise what the refusal says: of a key, which scope it would need."""
        if isinstance(request.user, KeyActor):
            raise _scope_missing(request.user, self._needed(request))
        super().permission_denied(request, message, code)

    def _needed(self, request: Request) -> Sequence[str]:
        return [name for one in self.get_permissions() for name in one.needed(request, self)]  # type: ignore[attr-defined]  # ModelPermissions

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add where the caller stands with their rate."""
        response = super().finalize_response(request, response, *args, **kwargs)
        tell_rate(getattr(request, "_request", request), response)
        return response


def _scope_missing(actor: KeyActor, permissions: Sequence[str]) -> exceptions.PermissionDenied:
    lacking = [one for one in permissions if not actor.has_perm(one)]
    scopes = least_scopes(permissions) if least_scopes(lacking) else []
    needed = " and ".join(scopes) or "no scope gives that: log in as a user"
    has = ", ".join(actor.key.scopes)
    return exceptions.PermissionDenied(f"This needs the scope {needed}. The key has: {has}.", code="scope_missing")
