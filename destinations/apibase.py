"""What every view of the API shares: who may call it, with which parameters, and how it answers."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import authenticate
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, parsers, permissions, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.utils.json import strict_constant

from destinations import apiwrites
from destinations.access.authentication import KeyAuthentication
from destinations.access.guard import Guarded
from destinations.access.keys import START
from destinations.problems import KeyAsUser, LockedOut, TooLarge
from destinations.writing import refuse_other_version

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
        """Return the user; raise ``LockedOut`` after too many guesses, ``KeyAsUser`` for a key, which nothing keeps."""
        if any(text.strip().startswith(START) for text in (userid, password)):
            raise KeyAsUser
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

    def needed(self, request: Request, view: Any) -> Sequence[str]:
        """Return the permissions that a request needs."""
        own: Sequence[str] | None = view.action_permissions.get(view.action)
        if own is not None:
            return own
        return self.get_required_permissions(str(request.method), self._queryset(view).model)


# --- what ----------------------------------------------------------------------------------------
class JSONParser(parsers.JSONParser):
    """Like DRF's, and it also answers JSON that nests too deeply, says something twice or spells what is no text."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the parsed body; raise ``ParseError``."""
        try:
            text = stream.read().decode((parser_context or {}).get("encoding", settings.DEFAULT_CHARSET))
            value = json.loads(text, parse_constant=strict_constant, object_pairs_hook=_without_twins)
            json.dumps(value, ensure_ascii=False).encode()
        except RecursionError as error:
            raise exceptions.ParseError("JSON parse error - nested too deeply") from error
        except UnicodeEncodeError as error:
            raise exceptions.ParseError("JSON parse error - half of a surrogate pair is no character") from error
        except (ValueError, LookupError) as error:
            raise exceptions.ParseError(f"JSON parse error - {error}") from error
        return value


def _without_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise ``ParseError`` for a name that comes twice: one of its values would be ignored."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twin = next(name for name in names if names.count(name) > 1)
        raise exceptions.ParseError(f"JSON parse error - {json.dumps(twin[:100])} comes twice in one object")
    return found


class ApiViewSet(Guarded, viewsets.GenericViewSet[Any]):
    """Base of the API's views: who may call, no parameter that is ignored, and how a write is carried out."""

    permission_classes = (ModelPermissions,)
    parser_classes = (JSONParser,)
    metadata_class = None
    # action -> permissions, where the method alone does not say what is needed
    action_permissions: ClassVar[dict[str, list[str]]] = {}
    # Actions with effects outside the database, which are not run inside a transaction: they take care of ``dry_run``.
    unrolled_actions: ClassVar[Collection[str]] = ()
    # Actions whose ``dry_run`` is their own doing, and not the write rolled back.
    own_trials: ClassVar[Collection[str]] = ()
    versioned: ClassVar[bool] = False  # its rows have a version: ETag, If-Match
    dry_run = False  # the request is on trial: nothing of it stays
    expected_versions: frozenset[int] | None = None  # what If-Match allows; None: any
    known_tags: Collection[str] = ()  # what If-None-Match names

    def get_authenticators(self) -> list[authentication.BaseAuthentication]:
        """Return the key, the session, and HTTP Basic where the operator allows it."""
        basic = [BasicAuthentication()] if settings.API_BASIC_AUTH else []
        return [KeyAuthentication(), SessionAuthentication(), *basic]

    def get_authenticate_header(self, request: Request) -> str:
        """Return every way to log in, as a 401 names them."""
        ways = [one.authenticate_header(request) for one in self.get_authenticators()]
        return ", ".join(filter(None, ways))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large and parameters that would be ignored; see how it is to be carried out."""
        super().initial(request, *args, **kwargs)
        _refuse_large_body(request)
        self._refuse_unknown_parameters(request)
        if request.method not in apiwrites.READS and self._takes_no_fields(request):
            _refuse_fields(request)
        self.dry_run = apiwrites.wants_dry_run(request)
        if self.versioned and request.method in apiwrites.READS:
            self.known_tags = apiwrites.known_tags(request)
        elif self.versioned:
            self.expected_versions = apiwrites.expected_versions(request)
        method = str(request.method).lower()
        setattr(self, method, partial(self._carried_out, getattr(self, method)))

    def _takes_no_fields(self, request: Request) -> bool:
        """Tell whether the operation has no body, as its schema says it."""
        kind: Any = getattr(getattr(self, self.action), "kwargs", {}).get("schema")
        if request.method == "DELETE" or kind is None:
            return request.method == "DELETE"
        schema = kind()
        schema.view = self
        return schema.get_request_serializer() is None

    def check_permissions(self, request: Request) -> None:
        """Refuse a method that the path does not have before asking who may do what."""
        if not self.action:
            raise exceptions.MethodNotAllowed(str(request.method))
        super().check_permissions(request)

    def _carried_out(self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
        run, ahead = partial(handler, request, *args, **kwargs), partial(self.look_ahead, request)
        if self.dry_run and self.action in self.own_trials:
            apiwrites.idempotency_key(request)  # not used, and refused where it could not be used
            return run()
        rolls_back = self.action not in self.unrolled_actions
        return apiwrites.carried_out(request, run, ahead=ahead, dry_run=self.dry_run, rolls_back=rolls_back)

    def look_ahead(self, request: Request) -> None:
        """Do what is slow before a transaction begins: on SQLite it holds the one write lock, which intake needs."""

    def get_object(self) -> Any:
        """Return the row of the path; refuse a version that the caller does not expect."""
        row = super().get_object()
        if self.expected_versions is not None:
            row.expected_versions = self.expected_versions  # judged again when the row is locked
            refuse_other_version(row, self.expected_versions)
        return row

    def _refuse_unknown_parameters(self, request: Request) -> None:
        known = [*self._known_parameters(), *(() if request.method in apiwrites.READS else ("dry_run",))]
        errors = {name: [_unknown(known)] for name in request.query_params if name not in known}
        for name, values in request.query_params.lists():
            if len(values) > 1:
                errors[name] = ["Give this parameter once."]
            elif name in known and not values[0]:
                errors[name] = ["Give it a value, or leave it out."]
        if errors:
            raise exceptions.ValidationError(errors)

    def _known_parameters(self) -> Sequence[str]:
        if self.action != "list":
            return []
        filters = getattr(self, "filterset_class", None)
        return ["limit", "cursor", *(filters.base_filters if filters else ())]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Say what is true of every answer; keep it out of caches: it holds people's ids, or a new secret."""
        if self.dry_run and isinstance(response, Response):
            response["Dry-Run"] = "true"
            response.data = apiwrites.as_on_trial(response.data)
        elif self.versioned and isinstance(response, Response):
            response = _tagged(response, self.known_tags)
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


def _refuse_large_body(request: Request) -> None:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")


def _refuse_fields(request: Request) -> None:
    if not request._request.body:  # read here, and kept: an Idempotency-Key is bound to it
        return
    sent, says = request.data, ["This request takes no fields."]
    if sent != {}:
        names = sent if isinstance(sent, dict) else [""]
        raise exceptions.ValidationError(dict.fromkeys(names, says))


def _tagged(response: Response, known: Collection[str]) -> Response:
    """Return an answer with its ``ETag`` where it shows one row with a version; 304 where the caller has it."""
    data = response.data
    if response.status_code >= 300 or not isinstance(data, dict) or not {"id", "version"} <= data.keys():
        return response
    tag = apiwrites.tag_of(data)
    if tag in known or "*" in known:
        return Response(status=304, headers={"ETag": tag})
    response["ETag"] = tag
    return response


def _unknown(known: Sequence[str]) -> str:
    return f"Unknown parameter. Known here: {', '.join(known)}." if known else "This request takes no parameters."


class Router(SimpleRouter):
    """Paths without a slash at their end."""

    def __init__(self) -> None:
        """Make an empty router."""
        super().__init__(trailing_slash=False)
