"""Middleware of the hub's own."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
