"""URLs of the data plane."""

from django.urls import path

from webhooks import views

urlpatterns = [
    path("webhooks/terra/<slug:slug>", views.receive, name="receive"),
    path("payloads/<str:token>", views.payload, name="payload"),
]
