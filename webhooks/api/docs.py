"""The API's schema (OpenAPI 3.1) and its page for people. Both are open: they hold nothing of this hub.

docs/openapi.yaml is the same schema as a file, written by ``make openapi``. Scripts and styles of the page come from
this server: it loads nothing from elsewhere.
"""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from destinations.apischema import headers_of_answers, problem_answers
from destinations.apiwrites import SHOWN_ONCE
from webhooks.api.examples import ANSWERS, IDS, REQUESTS

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "description": "Every error (RFC 9457). docs/api-errors.md has every code.",
    "required": ["title", "status", "detail", "code", "errors", "hint", "request_id"],
    "properties": {
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {**_TEXT, "description": "Stable; to branch on."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": _TEXT, "message": _TEXT},
            },
        },
        "hint": {**_TEXT, "description": "What to change; may be empty."},
        "request_id": {**_TEXT, "description": "As in X-Request-ID, and in the hub's log."},
    },
}
_JSON = "application/json"


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add what operations refer to, and an example of each: drf-spectacular's post-processing hook."""
    components = result["components"]
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"], components["headers"] = problem_answers(), headers_of_answers()
    for schema in components["schemas"].values():
        _say_absent_in_trials(schema)
    for path, operation in _operations(result):
        _add_examples(path, operation)
    return result


def _say_absent_in_trials(schema: dict[str, Any]) -> None:
    """Let no answer require what is shown once: a dry run has none of it."""
    shown = [name for name, one in schema.get("properties", {}).items() if not one.get("writeOnly")]
    left = [name for name in schema.get("required", ()) if name not in SHOWN_ONCE.intersection(shown)]
    if left != schema.get("required", []):
        schema["required"] = left


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in result["paths"].items():
        yield from ((path, operation) for operation in methods.values())


def _add_examples(path: str, operation: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter["example"] = IDS.get(path.split("/")[3], "")
    name = operation["operationId"]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body and name in REQUESTS:
        body["example"] = REQUESTS[name]
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get(_JSON)
        if content and f"{name} {status}" in ANSWERS:
            content["example"] = ANSWERS[f"{name} {status}"]


class SchemaView(SpectacularAPIView):
    """The schema: YAML, or JSON with ``Accept: application/json``."""

    authentication_classes = ()


class DocsView(SpectacularSwaggerSplitView):
    """The page for people, with a way to try each call in one's own session."""

    authentication_classes = ()
    url_name = "api-schema"
