"""What happens between the commands of a journey: ``<!-- test: name -->`` in docs/cli.md calls a function here.

Each takes the receiver that stands at http://127.0.0.1:48080, and the folder in which the commands are typed.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from destinations.models import Destination
from destinations.services import create_destination
from tests.api_support import make_attempt, make_database, make_delivery, make_destination, make_event
from tests.cli import happenings_of_data
from tests.sink import Sink

SIGNING_SECRET = "whsec_dGhlLXNpZ25pbmctc2VjcmV0LW9mLXRoZS10ZXN0cy0="
PASSWORD = "the-password-of-the-warehouse"


def failing_destination(sink: Sink, folder: Path) -> None:
    """A destination's receiver fails for an hour, and two deliveries wait for their next try."""
    receiver_breaks(sink, folder)
    row = make_destination("orders", config={"url": sink.url("/terra")})
    since = timezone.now() - timedelta(hours=1)
    Destination.objects.filter(pk=row.pk).update(failing_since=since, consecutive_failures=7)
    for _ in range(2):
        delivery = make_delivery(make_event(), row, last_error_code="http_503", attempt_count=1)
        make_attempt(delivery, 1, error_code="http_503", error_detail="The receiver answered 503.")


def receiver_breaks(sink: Sink, folder: Path) -> None:
    """The receiver answers 503."""
    sink.behave("/terra", status=503)


def receiver_works(sink: Sink, folder: Path) -> None:
    """The receiver answers 200 again."""
    sink.behave("/terra", status=200)


def two_destinations(sink: Sink, folder: Path) -> None:
    """A database and a webhook, each with a secret."""
    make_database("warehouse", PASSWORD, host="db.example.com", schema="public")
    create_destination(
        type="webhook", name="orders", config={"url": sink.url("/terra")}, event_types=["daily", "sleep"],
        credentials={"signing_secret": SIGNING_SECRET},
    )  # fmt: skip


def another_hub(sink: Sink, folder: Path) -> None:
    """From here on the reader is at a hub that has no destination."""
    Destination.objects.all().delete()


def secret_files(sink: Sink, folder: Path) -> None:
    """The operator has put both secrets into files."""
    (folder / "warehouse-password").write_text(PASSWORD + "\n")
    (folder / "orders-secret").write_text(SIGNING_SECRET + "\n")


def happen(name: str, sink: Sink, folder: Path) -> None:
    """Let something happen; the connection is given back, so that no command waits for it."""
    functions: dict[str, Any] = {**vars(happenings_of_data), **globals()}
    functions[name](sink, folder)
    connection.close()
