"""What happens between the commands of the journeys about events, deliveries, people and the hub itself.

As in ``tests.cli.happenings``; what is started here, ``ended`` ends.
"""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from tests.cli.shell import PUBLIC_URL
from tests.hub import Server, signature, spawn, until
from tests.receiving.support import BODY
from tests.services import free_port, provide
from tests.services.nginx import nginx
from tests.sink import Sink
from webhooks.models import Event, Payload, Worker
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.sources import create_source

TERRAS_SECRET = "s3cr3t-of-terras-dashboard"  # that is typed in the page
LOST = UUID("01a22468-c457-716d-9f6d-05171b0488cd")  # the event that the page names
LOST_DELIVERY = 4711
_running = ExitStack()
_port = free_port()  # of nginx, before and after it is mended


def ended() -> None:
    """End what was started."""
    _running.close()


def a_worker(sink: Sink, folder: Path) -> None:
    """A worker runs from here on."""
    process = spawn(["manage.py", "worker"], folder / "worker.log", COMMIT_TIMEOUT_SECONDS="0")
    _running.callback(process.popen.wait)
    _running.callback(process.kill)
    until(Worker.objects.exists, what="the worker is seen")


def a_lost_sleep(sink: Sink, folder: Path) -> None:
    """A sleep of one user was refused by the receiver, which takes it by now."""
    to = make_destination("orders", config={"url": sink.url("/terra")})
    at = datetime.now(UTC) - timedelta(hours=9)
    about = {"type": "sleep", "user_id": "user-x", "reference_id": "ana", "provider": "GARMIN"}
    other = make_event(user_id="user-y", type="sleep")
    make_delivery(other, to, "delivered", settled_at=at)
    event = Event.objects.create(
        id=LOST, source=make_source(), idempotency_key="trace:8f2c", size=1840, received_at=at, **about
    )
    Payload.objects.create(event=event, body=b'{"type":"sleep"}', sha256=b"s" * 32)
    row = make_delivery(
        event, to, "dead", id=LOST_DELIVERY, attempt_count=2, last_error_code="http_422", settled_at=at, created_at=at
    )
    make_attempt(row, 1, status_code=503, error_code="http_503", started_at=at, error_detail="The receiver failed.")
    make_attempt(
        row, 2, status_code=422, error_code="http_422", outcome="rejected", started_at=at,
        error_detail="The receiver answered 422: no user 'ana'.", hint="Look at what the receiver expects.",
    )  # fmt: skip


def a_bad_night(sink: Sink, folder: Path) -> None:
    """Twelve deliveries were given up while a receiver was down, and one for another reason."""
    to = make_destination("orders", config={"url": sink.url("/terra")})
    for number, code in enumerate(["http_503"] * 12 + ["http_422"], 800):
        row = make_delivery(make_event(), to, "dead", id=number, attempt_count=1, last_error_code=code)
        make_attempt(row, 1, error_code=code)


def a_wrong_secret(sink: Sink, folder: Path) -> None:
    """A source has a secret that is not Terra's, and three requests were refused for it."""
    make_destination("orders", config={"url": sink.url("/terra")})
    source = create_source(slug="terra", secret="the-secret-of-another-environment")
    for number in range(3):
        body = BODY % number
        headers = {"terra-signature": signature(body, TERRAS_SECRET)}
        keep(source.pk, Refusal("signature_mismatch", "No signature fits the body."), headers, body)


def a_person(sink: Sink, folder: Path) -> None:
    """The hub has three events of a person, and somebody has put the person's id into a file."""
    to = make_destination("orders", config={"url": sink.url("/terra")})
    for _ in range(3):
        make_attempt(make_delivery(make_event(user_id="user-x", reference_id="ana"), to, "delivered"), 1)
    make_event(user_id="user-y")
    (folder / "who").write_text("user-x\n")


def a_hub_behind_nginx(sink: Sink, folder: Path) -> None:
    """The hub is reached through an nginx as it comes from the package: it takes 1 MB."""
    server = Server(folder, TRUSTED_PROXY_COUNT="1").start()
    _running.callback(server.kill)
    _in_front(folder, server.port, "")
    (folder / PUBLIC_URL).write_text(f"http://127.0.0.1:{_port}")


def nginx_is_mended(sink: Sink, folder: Path) -> None:
    """Its configuration has the line that the doctor named."""
    upstream, proxy = _in_front_of.pop()
    proxy.close()
    _in_front(folder, upstream, "client_max_body_size 64m;")


_in_front_of: list[tuple[int, ExitStack]] = []


def _in_front(folder: Path, upstream: int, limit: str) -> None:
    stack = ExitStack()
    forwards = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    provide(lambda: stack.enter_context(nginx(folder, upstream, server=limit, location=forwards, port=_port)))
    _running.callback(stack.close)
    _in_front_of.append((upstream, stack))
