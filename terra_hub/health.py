"""How the hub is, for machines and people: ``/readyz`` and the page ``/health``. (``/healthz``: ``terra_hub.threads``.)

Both run the checks of ``terra_hub.healthchecks``: ``/readyz`` those on which its work stands, the page all of them.
"""

from collections.abc import Iterable, Mapping

from django.conf import settings
from django.contrib import admin
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from destinations.apibase import BasicAuthentication
from destinations.shown import Chip, Tone
from terra_hub.healthchecks import CHECKS, Check, Finding, Level, Unwell
from webhooks.sql import renew_connections

CHIPS: Mapping[Level, Chip] = {
    Level.OK: Chip("Fine", "check_circle", Tone.GOOD),
    Level.WAITING: Chip("Nothing yet", "hourglass_empty", Tone.QUIET),
    Level.SKIPPED: Chip("Not tried", "block", Tone.QUIET),
    Level.WARNING: Chip("Look at it", "warning", Tone.WARN),
    Level.FAILED: Chip("Act", "error", Tone.BAD),
}
AWAY = Finding(Level.FAILED, "Not asked: the database is away.", fix="Mend the database first.")
_NEVER_STORED = {"Cache-Control": "no-store"}


class Silent(Finding):
    """The database gave no answer."""


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether events can be stored and are being delivered, with the cause where not."""
    found = findings(check for check in CHECKS if check.ready)
    ready = all(one.level is not Level.FAILED for one in found.values())
    checks = {name: {"ok": one.level is not Level.FAILED, "detail": one.text} for name, one in found.items()}
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(body, status=200 if ready else 503, headers=_NEVER_STORED)


def page(request: HttpRequest) -> HttpResponse:
    """Show every check with its cause and what to do, as a page of the admin or as the same facts in JSON."""
    as_json = request.GET.get("format") == "json" or request.headers.get("Accept", "").startswith("application/json")
    if not as_json:
        return admin.site.admin_view(_page)(request)
    if admin.site.has_permission(request) or _has_password(request):
        return _json()
    headers = _NEVER_STORED | ({"WWW-Authenticate": 'Basic realm="hub"'} if settings.API_BASIC_AUTH else {})
    return JsonResponse({"status": "not logged in"}, status=401, headers=headers)


def _has_password(request: HttpRequest) -> bool:
    """Tell whether a program sent the password of somebody of the admin, where the operator allows that."""
    if not settings.API_BASIC_AUTH:
        return False
    try:
        known = BasicAuthentication().authenticate(Request(request))
    except APIException:
        return False
    return bool(known and known[0].is_active and known[0].is_staff)


def _page(request: HttpRequest) -> HttpResponse:
    found = findings(CHECKS)
    rows = [(name, CHIPS[one.level], one) for name, one in found.items()]
    context = {"title": "Health", "rows": rows, "overall": CHIPS[worst(found)], "checked_at": timezone.now()}
    shown = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "hub/health.html", shown, headers=_NEVER_STORED)


def _json() -> JsonResponse:
    found = findings(CHECKS)
    checks = [{"check": name, **one.as_dict()} for name, one in found.items()]
    body = {"status": worst(found).value, "checked_at": timezone.now().isoformat(), "checks": checks}
    return JsonResponse(body, headers=_NEVER_STORED)


def findings(checks: Iterable[Check]) -> dict[str, Finding]:
    """Run checks in order; return what each found, by its name."""
    found: dict[str, Finding] = {}
    for check in checks:
        away = check.needs_database and isinstance(found["database"], Silent)  # else each would wait for it in turn
        found[check.name] = AWAY if away else _found(check)
    return found


def worst(found: Mapping[str, Finding]) -> Level:
    """Return the gravest level of all findings: what nothing was heard of yet is fine."""
    levels = {one.level for one in found.values()}
    return next((level for level in (Level.FAILED, Level.WARNING) if level in levels), Level.OK)


def _found(check: Check) -> Finding:
    try:
        return check.run()
    except Unwell as unwell:
        return unwell.finding
    except (DatabaseError, InterfaceError) as error:
        renew_connections()
        return Silent(
            Level.FAILED, f"The database does not answer ({type(error).__name__}).",
            "It is down, unreachable, or refuses the hub's user.", "Start it, and look at DATABASE_URL.",
        )  # fmt: skip
