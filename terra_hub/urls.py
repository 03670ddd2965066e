"""Every URL of the hub."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from terra_hub import echo, health
from webhooks.api.docs import DocsView

admin.autodiscover()
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("readyz", health.readyz, name="readyz"),
    path("health", health.page, name="health"),
    path("", include("webhooks.urls")),
    path("api/docs/", DocsView.as_view(), name="api-docs"),
    path("api/v1/", include("webhooks.api.urls")),
    path("admin/", admin.site.urls),
]
if settings.DEMO_ECHO:
    urlpatterns += [path("demo/echo", echo.echo, name="demo-echo"), path("demo/fail", echo.fail, name="demo-fail")]

handler400 = "terra_hub.errors.bad_request"
handler403 = "terra_hub.errors.permission_denied"
handler404 = "terra_hub.errors.not_found"
handler500 = "terra_hub.errors.server_error"
