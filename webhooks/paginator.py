"""Keyset pages: ``{data, has_more, next_cursor}``, newest first, at the same cost at any depth."""

import base64
import binascii
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class KeysetPagination(BasePagination):
    """Pages over the primary key, which follows the time. No OFFSET and no COUNT.

    A cursor is base64url of the last id of the page before; callers take it as it is.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return one page; raise ``ValidationError`` for a bad ``limit`` or ``cursor``."""
        limit = _limit(request.query_params.get("limit"))
        rows = queryset.order_by("-pk")
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            rows = rows.filter(pk__lt=_key(cursor, queryset))
        page = list(rows[: limit + 1])
        self.has_more = len(page) > limit
        del page[limit:]
        self.next_cursor = _cursor(page[-1].pk) if self.has_more else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        """Return a page in the API's form."""
        return Response({"data": data, "has_more": self.has_more, "next_cursor": self.next_cursor})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page of ``schema``."""
        return {
            "type": "object",
            "required": ["data", "has_more", "next_cursor"],
            "properties": {
                "data": schema,
                "has_more": {"type": "boolean"},
                "next_cursor": {"type": ["string", "null"], "description": "The ``cursor`` of the next page."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters of every list."""
        limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            {"name": "limit", "in": "query", "schema": limits, "description": "Rows of a page."},
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "next_cursor of a page."},
        ]


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValidationError({"limit": [f"Must be a whole number from 1 to {MAX_LIMIT}."]})


def _cursor(key: Any) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _key(cursor: str, queryset: QuerySet[Any]) -> Any:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        key = queryset.model._meta.pk.to_python(text)
    except (binascii.Error, ValueError, DjangoValidationError):
        key = None
    if key is None or _cursor(key) != cursor:
        raise ValidationError({"cursor": ["Is not a cursor. Take next_cursor of the page before, as it is."]})
    return key
