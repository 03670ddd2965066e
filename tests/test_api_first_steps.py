"""docs/api.md: its very commands, typed by a new user into a shell, against a real hub with a worker."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from destinations.models import Destination
from tests.delivering.conftest import one_sink, sink
from tests.hub import ROOT, Hub, environment, until
from tests.sink import Sink
from webhooks.models import Delivery, Replay

pytestmark = pytest.mark.databaseless

__all__ = ["one_sink", "sink"]
PAGE = (ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
END = "=== end of a block ==="


def typed(folder: Path, **env: str) -> list[str]:
    """Type the blocks into one shell, in the page's order; return what each printed."""
    script = folder / "typed.sh"
    script.write_text("set -eu\n" + "".join(f"{block}echo; echo '{END}'\n" for block in BLOCKS))
    done = subprocess.run(["bash", str(script)], cwd=ROOT, env=environment(**env), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:] + done.stdout.decode()[-2000:]
    return done.stdout.decode().split(END)[:-1]


def answers(text: str) -> Any:
    return json.loads(text.strip().splitlines()[-1])


@pytest.mark.django_db(transaction=True)
def test_a_new_user_gets_from_a_key_to_a_replay_by_the_page(hub: Hub, sink: Sink) -> None:
    hub.worker()
    url = f"http://127.0.0.1:{hub.server.port}"

    said = typed(hub.folder, HUB=url, RECEIVER=sink.url("/app"))
    (_, listed, source, tried, made, event, deliveries, estimate, replay, changed, refused, filtered) = said

    assert answers(listed)["data"] == []
    assert answers(source)["webhook_url"].endswith("/webhooks/terra/first-steps")
    assert answers(tried)["name"] == "My app"
    assert "signing_secret" not in answers(tried)
    assert "the same answer, and one destination" in made
    destination = Destination.objects.get()
    assert answers(event)["type"] == "sleep"
    assert answers(deliveries)["data"][0]["destination_name"] == "My app"
    assert answers(estimate)["count"] == 1
    assert answers(replay)["id"] == Replay.objects.get().pk
    assert answers(changed)["event_types"] == ["sleep", "daily"]
    assert (answers(refused)["status"], answers(refused)["code"]) == (412, "version_conflict")
    assert len(answers(filtered)["data"]) == 1
    assert (destination.version, destination.event_types) == (2, ["sleep", "daily"])
    until(lambda: Delivery.objects.get().status == "delivered", what="the sample is delivered")


def test_the_page_has_every_section_that_it_promises() -> None:
    wanted = (
        "Keys",
        "Conventions",
        "Pages",
        "Filters",
        "Idempotency",
        "Dry run",
        "ETags",
        "Errors",
        "Rate limits",
        "Versions",
    )

    assert [name for name in wanted if f"\n## {name}\n" not in PAGE] == []
