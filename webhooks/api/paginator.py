"""Keyset pages: ``{data, has_more, next_cursor}``, at the same cost at any depth."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from webhooks.finding.places import key_at, place_of
from webhooks.finding.scans import Key, Listing, Order, Scan, next_page

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_AT_ONCE = 50  # of more, PostgreSQL's planner would sooner read a table that is not large yet


class KeysetPagination(BasePagination):
    """Pages of a scan's order; of plain rows by the primary key, which follows the time. No OFFSET and no COUNT.

    A cursor is base64url of the place where the page before ended; callers take it as it is. A scan ends a page
    also where it has looked at many rows and found few: it may have fewer than ``limit`` rows, and more to come.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return one page of a QuerySet or of a ``Listing``; raise ``ValidationError`` for a bad limit or cursor."""
        limit, cursor = _limit(request.query_params.get("limit")), request.query_params.get("cursor")
        listed = queryset if isinstance(queryset, Listing) else None
        order = listed.scan.order if listed else Order()
        rows = listed.rows if listed else queryset
        key = None if cursor is None else key_in(cursor, rows.model, order.columns)
        page, ended = _of_scan(rows, listed.scan, key, limit) if listed else _of_rows(rows, order, key, limit)
        self.has_more = ended is not None
        self.next_cursor = cursor_of(ended) if ended else None
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
                "has_more": {
                    "type": "boolean",
                    "description": "There may be more, also where this page has fewer rows than were asked for: a "
                    "filter that few rows pass takes several pages.",
                },
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


def _of_rows(rows: QuerySet[Any], order: Order, key: Key | None, limit: int) -> tuple[list[Any], Key | None]:
    """Return a page of plain rows, and where it ends; ``None``: there is no more."""
    rows = rows if key is None else order.beyond(rows, key, backwards=False)
    found = list(rows.order_by(*order.names(backwards=False))[: limit + 1])
    return found[:limit], (found[limit - 1].pk,) if len(found) > limit else None


def _of_scan(rows: QuerySet[Any], scan: Scan, key: Key | None, limit: int) -> tuple[list[Any], Key | None]:
    """Return the rows that a scan finds next, in its order, and where it ends."""
    page = next_page(scan, key, limit)
    keys = [row["pk"] for row in page.rows]
    found: dict[Any, Any] = {}
    for first in range(0, len(keys), _AT_ONCE):
        found |= rows.in_bulk(keys[first : first + _AT_ONCE])
    return [found[one] for one in keys if one in found], page.older


# --- what callers send ----------------------------------------------------------------------------------------
def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValidationError({"limit": [f"Must be a whole number from 1 to {MAX_LIMIT}."]})


def cursor_of(key: Key) -> str:
    """Return the cursor that stands for a place in a list."""
    return base64.urlsafe_b64encode(place_of(key).encode()).decode().rstrip("=")


def key_in(cursor: str, model: type[Model], columns: Sequence[str]) -> Key:
    """Return the place that a cursor stands for; raise ``ValidationError`` for one that the hub did not make."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        key = key_at(text, model, columns)
    except (binascii.Error, ValueError):
        key = None
    if key is None or cursor_of(key) != cursor:
        raise ValidationError({"cursor": ["Is not a cursor. Take next_cursor of the page before, as it is."]})
    return key
