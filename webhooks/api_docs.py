"""The API's schema (OpenAPI 3.1) and its page for people. Both are open: they hold nothing of this hub.

Scripts and styles come from this server: the page loads nothing from elsewhere.
"""

from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "description": "Every error (RFC 9457).",
    "required": ["title", "status", "detail", "code", "errors", "hint"],
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
    },
}


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say of every operation how it answers an error: drf-spectacular's post-processing hook."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = {"description": "An error.", "content": content}
    return result


HOOKS = ["drf_spectacular.hooks.postprocess_schema_enums", "webhooks.api_docs.add_problems"]
ENUMS = {"DeliveryStatus": "webhooks.models.DeliveryStatus", "AttemptOutcome": "webhooks.models.AttemptOutcome"}


class SchemaView(SpectacularAPIView):
    """The schema: YAML, or JSON with ``Accept: application/json``."""

    authentication_classes = ()
    custom_settings = {"POSTPROCESSING_HOOKS": HOOKS, "ENUM_NAME_OVERRIDES": ENUMS, "SCHEMA_PATH_PREFIX": "/api/v1"}  # noqa: RUF012  # the library's


class DocsView(SpectacularSwaggerSplitView):
    """The page for people, with a way to try each call in one's own session."""

    authentication_classes = ()
    url_name = "api-schema"
