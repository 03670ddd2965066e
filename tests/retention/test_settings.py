"""Lives that contradict each other are refused before anything is removed."""

from typing import Any

import pytest

from terra_hub.checks import retention_makes_sense

pytestmark = pytest.mark.databaseless


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"RETENTION_PAYLOAD_DAYS": -1}, "RETENTION_PAYLOAD_DAYS is -1."),
        ({"RETENTION_EVENT_DAYS": 1, "RETENTION_PAYLOAD_DAYS": 1}, "may be retried for longer than a day"),
        ({"RETENTION_PAYLOAD_DAYS": 1}, "could not tell a late retry"),
        ({"RETENTION_EVENT_DAYS": 20}, "keeps payloads for 30 days"),
        ({"RETENTION_PAYLOAD_DAYS": 0}, "keeps payloads for ever"),
        ({"RETENTION_SWEEP": "yes"}, "RETENTION_SWEEP is 'yes'."),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_to_do(settings: Any, changed: dict[str, Any], says: str) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    found = retention_makes_sense()
    assert any(says in one.msg for one in found)
    assert all(one.hint and one.id == "hub.E011" for one in found)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"RETENTION_PAYLOAD_DAYS": 2, "RETENTION_EVENT_DAYS": 2},
        {"RETENTION_PAYLOAD_DAYS": 0, "RETENTION_EVENT_DAYS": 0},
        {"RETENTION_SNAPSHOT_DAYS": 0, "RETENTION_ATTEMPT_DAYS": 3, "RETENTION_SWEEP": "off"},
    ],
)
def test_what_makes_sense_passes(settings: Any, changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    assert retention_makes_sense() == []
