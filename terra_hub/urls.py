"""Every URL of the hub."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from terra_hub import echo, health
from webhooks.api_docs import DocsView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("", include("webhooks.urls")),
    path("api/docs/", DocsView.as_view(), name="api-docs"),
    path("api/v1/", include("webhooks.api_urls")),
    path("admin/", admin.site.urls),
]
if settings.DEMO_ECHO:
    urlpatterns += [path("demo/echo", echo.echo, name="demo-echo"), path("demo/fail", echo.fail, name="demo-fail")]
