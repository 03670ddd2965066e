"""The admin site of the hub: its name, and its first page."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from terra_hub.dashboard import overview


class HubAdminSite(UnfoldAdminSite):
    """Unfold's site under the hub's name, with an overview that is read in a bounded number of queries."""

    site_title = "Terra destination hub"
    site_header = "Terra destination hub"
    index_title = "Overview"
    enable_nav_sidebar = True

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Lead to the overview after a log-in that says nothing else: Unfold's form leaves Django's field out."""
        query = (
            "" if REDIRECT_FIELD_NAME in request.GET else "?" + urlencode({REDIRECT_FIELD_NAME: reverse("admin:index")})
        )
        return super().login(request, {"app_path": request.get_full_path() + query, **(extra_context or {})})

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show how the hub is."""
        return super().index(request, {"cards": overview(request.user), **(extra_context or {})})
