"""The admin site of the hub: its name, and its first page."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.dataclasses import SearchResult
from unfold.sites import UnfoldAdminSite

from terra_hub.dashboard import overview
from terra_hub.look import places


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

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page has, and the places that the keyboard goes to."""
        return {**super().each_context(request), "hub_places": list(places(request.user))}

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Answer the command palette: the pages whose title it is, and whatever has that id or name.

        Unfold's own asks every model, and keeps for five minutes what one person may see.
        """
        from webhooks.admin.finding import command_results  # registers on this very site

        term = request.GET.get("s", "").strip()
        pages = [
            SearchResult(title=title, description="Page", link=url, icon="arrow_forward")
            for _, title, url in places(request.user)
            if term and term.lower() in title.lower()
        ]
        found = pages + command_results(request, term)
        return TemplateResponse(request, "unfold/helpers/command_results.html", {"results": found, "term": term})

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show how the hub is, and what is still to do while it is new."""
        from terra_hub import first_run  # not above: it needs the registered admin classes, which need this site

        shown = {
            **overview(request.user, request.GET.get("span", "")),
            "first_run": first_run.first_run_of_page(request),
        }
        return super().index(request, shown | (extra_context or {}))

    def get_urls(self) -> list[Any]:
        """Add the hub's own pages."""
        from terra_hub import first_run  # as in index
        from webhooks.admin.finding import find
        from webhooks.live.views import live_urls

        own = [
            path("find/", self.admin_view(find), name="find"),
            path("first-run/", self.admin_view(first_run.progress_view), name="first_run"),
            path("first-run/source/", self.admin_view(first_run.source_view), {"site": self}, name="first_run_source"),
            path("first-run/sample/", self.admin_view(first_run.sample_view), name="first_run_sample"),
        ]
        return [*own, *live_urls(self), *super().get_urls()]
