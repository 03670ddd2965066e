"""What ``check --deploy`` refuses to run in production with."""

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import SystemCheckError

pytestmark = pytest.mark.databaseless


@pytest.mark.parametrize("name", ["GCS_ENDPOINT", "GCS_TOKEN_ENDPOINT"])
def test_test_servers_in_googles_place_are_refused(settings: LazySettings, name: str) -> None:
    setattr(settings, name, "http://127.0.0.1:4443")

    with pytest.raises(SystemCheckError, match=f"hub.E005.*{name} is set"):
        call_command("check", "--deploy", "--tag", "security")

    setattr(settings, name, "")
    call_command("check", "--deploy", "--tag", "security")


@pytest.mark.parametrize(("hours", "warned"), [(0.0, False), (1.0, True), (27.9, True), (28.0, False)])
def test_an_erasure_that_comes_before_the_news_of_the_deauth_is_warned_of(
    settings: LazySettings, hours: float, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ERASE_AFTER_DEAUTH_HOURS = hours
    call_command("check", "--deploy", "--tag", "security")
    assert ("hub.W006" in capsys.readouterr().err) is warned
