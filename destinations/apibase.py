"""What every view of the API shares: who may call it, with which parameters, and how it answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import authenticate
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, parsers, permissions, viewsets
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter

from destinations.problems import LockedOut, TooLarge

MAX_BODY_BYTES = 1024 * 1024


# --- who ---------------------------------------------------------------------------------------
class SessionAuthentication(authentication.SessionAuthentication):
    """The admin's session, with its CSRF check. Nobody is answered 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 names as the way to log in."""
        return 'Session realm="admin"'


class BasicAuthentication(authentication.BasicAuthentication):
    """A user name and a password, behind the same lock-out as the admin's log-in."""

    www_authenticate_realm = "hub"

    def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> tuple[Any, None]:
        """Return the user; raise ``LockedOut`` after too many guesses."""
        http_request = request._request  # django-axes keeps its notes on Django's request
        user = None if "\x00" in userid else authenticate(http_request, username=userid, password=password)
        if getattr(http_request, "axes_locked_out", False):
            http_request.axes_locked_out = False  # its middleware would answer a page in place of ours
            raise LockedOut
        if user is None or not user.is_active:
            raise exceptions.AuthenticationFailed("The user name or the password is wrong.")
        return user, None


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the schema names the session."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return OpenAPI's security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class BasicScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the schema names HTTP Basic."""

    target_class = BasicAuthentication
    name = "basic"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return OpenAPI's security scheme."""
        return {"type": "http", "scheme": "basic"}


class ModelPermissions(permissions.DjangoModelPermissions):
    """Django's permissions of the view's model: ``view`` to read; an action may name its own."""

    perms_map = {  # noqa: RUF012  # the library's
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
        "OPTIONS": [],
        "POST": ["%(app_label)s.add_%(model_name)s"],
        "PATCH": ["%(app_label)s.change_%(model_name)s"],
        "DELETE": ["%(app_label)s.delete_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether the user has what the action, or else the method, needs."""
        needed = view.action_permissions.get(view.action)
        if needed is None:
            return super().has_permission(request, view)
        return bool(request.user and request.user.is_authenticated and request.user.has_perms(needed))


# --- what ----------------------------------------------------------------------------------------
class JSONParser(parsers.JSONParser):
    """DRF's parser, which also answers JSON that nests too deeply or spells what is no text."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the parsed body; raise ``ParseError``."""
        try:
            value = super().parse(stream, media_type, parser_context)
            json.dumps(value, ensure_ascii=False).encode()
        except RecursionError as error:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from error
        except UnicodeEncodeError as error:
            raise exceptions.ParseError("JSON parse error - half of a surrogate pair is no character") from error
        return value


class ApiViewSet(viewsets.GenericViewSet[Any]):
    """Base of the API's views: session log-in, model permissions, no parameter that is ignored."""

    permission_classes = (ModelPermissions,)
    parser_classes = (JSONParser,)
    metadata_class = None
    # action -> permissions, where the method alone does not say what is needed
    action_permissions: ClassVar[dict[str, list[str]]] = {}

    def get_authenticators(self) -> list[authentication.BaseAuthentication]:
        """Return the session, and HTTP Basic where the operator allows it."""
        basic = [BasicAuthentication()] if getattr(settings, "API_BASIC_AUTH", False) else []
        return [SessionAuthentication(), *basic]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large and parameters that would be ignored."""
        super().initial(request, *args, **kwargs)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        self._refuse_unknown_parameters(request)

    def _refuse_unknown_parameters(self, request: Request) -> None:
        known = self._known_parameters()
        errors = {name: [_unknown(known)] for name in request.query_params if name not in known}
        for name, values in request.query_params.lists():
            if len(values) > 1:
                errors[name] = ["Give this parameter once."]
        if errors:
            raise exceptions.ValidationError(errors)

    def _known_parameters(self) -> Sequence[str]:
        if self.action != "list":
            return []
        filters = getattr(self, "filterset_class", None)
        return ["limit", "cursor", *(filters.base_filters if filters else ())]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep answers out of caches: they hold people's ids, and some a new secret."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


def _unknown(known: Sequence[str]) -> str:
    return f"Unknown parameter. Known here: {', '.join(known)}." if known else "This request takes no parameters."


class Router(SimpleRouter):
    """Paths without a slash at their end."""

    def __init__(self) -> None:
        """Make an empty router."""
        super().__init__(trailing_slash=False)
