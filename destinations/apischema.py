"""What the schema says of every operation: who may call it, its parameters and headers, and the errors it can answer.

Nothing of it is written at the views: it is read off what they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from drf_spectacular.openapi import AutoSchema

from destinations.access.idempotency import LONGEST_KEY
from destinations.access.scopes import least_scopes
from destinations.apiwrites import READS
from destinations.problems import MEDIA_TYPE
from destinations.strict import StrictSerializer

_ALWAYS = (400, 401, 403, 406, 429, 500, 503)
# Errors that only some actions answer, by their names.
_OF_ACTIONS: Mapping[str, tuple[int, ...]] = {
    "payload": (410,),
    "resend": (410,),
    "resend_many": (404, 410),
    "cancel_many": (404,),
    "admit_many": (404,),
}
_MEANINGS = {
    400: "The request is malformed, or names what is not there or not allowed.",
    401: "No key, or one that is wrong, expired or revoked.",
    403: "The caller may not do this.",
    404: "There is nothing with this id, or nothing that the caller may see.",
    406: "The answer cannot be had in the form that Accept asks for.",
    409: "The state of things forbids it, or the Idempotency-Key was sent before with another request.",
    410: "The payload is no longer kept.",
    412: "It is not at a version that If-Match names.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests in a minute.",
    500: "The hub failed, or cannot read what it has sealed. Its log has the cause.",
    503: "The hub's database, or its payload store, does not answer.",
}
_TAGS_PATTERN = r'^([*]|"[!#-~]*"(, ?"[!#-~]*")*)$'
_DRY_RUN = {
    "name": "dry_run", "in": "query", "schema": {"type": "boolean", "default": False},
    "description": "Answer what would be, and change nothing.",
}  # fmt: skip
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header",
    "schema": {
        "type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": r"^[ -~]*[!-~][ -~]*$",
    },
    "description": "The same key with the same request within 24 hours: the same answer, and nothing is done twice.",
}  # fmt: skip
_IF_MATCH = {
    "name": "If-Match", "in": "header", "schema": {"type": "string", "pattern": _TAGS_PATTERN}, "example": "*",
    "description": "The ETag that was seen last: 412 where somebody has changed it since.",
}  # fmt: skip
_IF_NONE_MATCH = {
    "name": "If-None-Match", "in": "header", "schema": {"type": "string", "pattern": _TAGS_PATTERN}, "example": "*",
    "description": "The ETag that was seen last: 304 where nothing has changed since.",
}  # fmt: skip
_HEADERS = {
    "X-Request-ID": "The id of this request in the hub's log.",
    "RateLimit-Limit": "Requests that the caller may make in a minute.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until they begin anew.",
    "ETag": "Version and state of what is shown, for If-Match and If-None-Match.",
    "Dry-Run": "true: nothing was changed.",
    "Idempotent-Replayed": "true: the answer of before, and nothing was done now.",
}
_EVERY = ("X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_TAGGED = ("Destination", "DestinationCreated")  # shapes that show one destination


class HubSchema(AutoSchema):
    """drf-spectacular's schema of one view, with what is true of each of the hub's."""

    view: Any  # an ApiViewSet

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Return the operation, complete but for its examples."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        operation["parameters"] = [*map(_never_empty, operation.get("parameters", ())), *self._parameters()]
        for status, answer in operation["responses"].items():
            answer["description"] = answer["description"] or _phrase(int(status))
            answer["headers"] = {name: _header_ref(name) for name in self._headers_of(int(status), answer)}
        operation["responses"] |= self._errors()
        self._say_scope(operation)
        return operation

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # untyped
        return {**schema, "additionalProperties": False} if isinstance(serializer, StrictSerializer) else schema

    @property
    def _writes(self) -> bool:
        return self.method not in READS

    @property
    def _of_a_version(self) -> bool:
        return bool(getattr(self.view, "versioned", False)) and "{" in self.path

    def _parameters(self) -> Iterator[dict[str, Any]]:
        if self._writes:
            yield _DRY_RUN
        if self.method == "POST":
            yield _IDEMPOTENCY_KEY
        if self._of_a_version:
            if self._writes:
                yield _IF_MATCH
            elif self.view.action == "retrieve":
                yield _IF_NONE_MATCH

    def _headers_of(self, status: int, answer: Mapping[str, Any]) -> Iterator[str]:
        yield from _EVERY
        content = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if content.get("$ref", "").rpartition("/")[2] in _TAGGED:
            yield "ETag"
        if self._writes:
            yield "Dry-Run"
        if self.method == "POST":
            yield "Idempotent-Replayed"

    def _errors(self) -> dict[str, Any]:
        statuses = [*_ALWAYS, *_OF_ACTIONS.get(self.view.action, ()), *getattr(self.view, "problems", ())]
        statuses += [404] if "{" in self.path else []
        statuses += [409] if self.method in ("POST", "PATCH") else []
        statuses += [412] if self._of_a_version and self._writes else []
        statuses += [413, 415] if self._writes else []
        answers: dict[str, Any] = {
            str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(set(statuses))
        }
        if self._of_a_version and self.view.action == "retrieve":
            answers["304"] = {"description": "Nothing has changed.", "headers": {"ETag": _header_ref("ETag")}}
        return answers

    def _say_scope(self, operation: dict[str, Any]) -> None:
        scopes = least_scopes(self._permissions())
        operation["x-required-scope"] = scopes
        needed = " and ".join(f"`{scope}`" for scope in scopes) or "none: a user's session only"
        operation["description"] = f"{operation.get('description', '')}\n\nScope of the key: {needed}.".strip()

    def _permissions(self) -> Sequence[str]:
        request = SimpleNamespace(method=self.method)
        return [name for one in self.view.get_permissions() for name in one.needed(request, self.view)]


def _never_empty(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    if parameter["in"] == "query" and schema.get("type") == "string":
        schema.setdefault("minLength", 1)
    return parameter


def problem_answers() -> dict[str, Any]:
    """Return the errors that operations refer to, as ``components.responses``."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"X-Request-ID": _header_ref("X-Request-ID")}
    answers = {_name(s): {"description": text, "headers": headers, "content": content} for s, text in _MEANINGS.items()}
    for status in (429, 503):
        wait = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        answers[_name(status)] = {**answers[_name(status)], "headers": {**headers, "Retry-After": wait}}
    return answers


def headers_of_answers() -> dict[str, Any]:
    """Return the headers that operations refer to, as ``components.headers``."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}


def _header_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _phrase(status: int) -> str:
    return f"{HTTPStatus(status).phrase}."
