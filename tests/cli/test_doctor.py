"""``hub doctor`` as a command: a table, hints, JSON, and the exit code."""

from typing import Any

import pytest

from tests.cli.support import hub

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_names_what_is_wrong_and_what_to_change(settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    ran = hub("doctor", "--only", "database", "--only", "public-url", "--only", "tls", code=4)
    lines = [line.split()[:2] for line in ran.out.splitlines()]
    assert lines == [["CHECK", "STATE"], ["database", "ok"], ["public-url", "failed"], ["tls", "skipped"]]
    assert "Cause: The web server or the proxy does not run." in ran.err
    assert "Change: Start it: python manage.py serve" in ran.err
    assert "3 checks: 1 failed, 0 to look at, 1 not tried." in ran.err


def test_json_holds_every_check(settings: Any) -> None:
    names = hub("doctor", "--list", "--json").json
    left = [name for name in names if name not in ("database", "migrations")]
    ran = hub("doctor", "--json", *(word for name in left for word in ("--skip", name)))
    assert ran.json["well"] is True
    assert [one["check"] for one in ran.json["checks"]] == ["database", "migrations"]
    assert ran.json["checks"][0].keys() == {"check", "level", "detail", "cause", "fix"}
    assert ran.err == ""


def test_an_unknown_check_is_named() -> None:
    assert "There is no check fsink. There are: settings" in hub("doctor", "--only", "fsink", code=1).err
