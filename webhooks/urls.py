"""URLs of the data plane that Django serves; Terra's webhooks go to ``receiving.endpoint``."""

from django.urls import path

from webhooks import views

urlpatterns = [
    path("payloads/<str:token>", views.payload, name="payload"),
]
