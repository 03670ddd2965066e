"""Checks of a set-up, and the cache of adapters that the worker delivers through."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from destinations import checking, services
from destinations.adapters.base import Step, StepStatus
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials
from destinations.adapters_of import AdapterCache, build_adapter
from destinations.models import Destination
from tests.api_support import (
    CANARY,
    make_database,
    make_destination,
    refused,
    stored,
)
from tests.hub import until
from tests.services import free_port
from tests.services.postgres import Login, PostgresServer

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


# --- checks ---------------------------------------------------------------------------------------
@pytest.fixture
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word; gives its port."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept_all, args=(listener, held), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connected in held:
        connected.close()


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    return free_port()


def _accept_all(listener: socket.socket, held: list[socket.socket]) -> None:
    try:
        while True:
            held.append(listener.accept()[0])
    except OSError:
        return


def database_of(server: PostgresServer, login: Login, **config: Any) -> dict[str, Any]:
    return {
        "host": server.host, "port": server.port, "database": login.database, "username": login.user,
        "ssl_mode": "disable", **config,
    }  # fmt: skip


def test_a_check_keeps_its_steps_on_the_row(postgres_server: PostgresServer, postgres_login: Login) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))

    steps = services.check_destination(destination)

    row = stored(destination)
    assert row.check_passed is destination.check_passed is True, steps
    assert [step["name"] for step in row.check_steps] == [step.name for step in steps]
    assert row.checked_at
    assert row.version == 1


def test_a_check_with_a_wrong_password_says_so_and_not_the_password(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(**database_of(postgres_server, postgres_login))

    steps = services.check_destination(destination)

    row = stored(destination)
    assert (row.check_passed, steps[-1].status) == (False, StepStatus.FAILED)
    assert CANARY not in str(row.check_steps) + str(steps)


def test_a_draft_is_checked_without_being_saved(postgres_server: PostgresServer, postgres_login: Login) -> None:
    config = database_of(postgres_server, postgres_login)

    steps = services.check_draft("postgres", config, {"password": postgres_login.password})

    assert checking.passed(steps), steps
    assert not Destination.objects.exists()
    assert (
        "config.host"
        in refused(services.check_draft, "postgres", {**config, "host": "10.0.0.1"}, {"password": "x"}).errors
    )


def test_a_result_about_an_older_version_is_not_kept(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    destination = make_database(port=closed_port)
    run_check = checking.run_check

    def changed_meanwhile(*args: Any) -> Any:
        services.update_destination(destination, name="renamed meanwhile")
        return run_check(*args)

    monkeypatch.setattr(checking, "run_check", changed_meanwhile)

    assert services.check_destination(destination)[-1].status is StepStatus.FAILED
    assert (stored(destination).checked_at, stored(destination).check_passed) == (None, None)


def test_a_check_that_hangs_is_given_up_within_its_budget(silent_server: int) -> None:
    adapter = build_adapter(make_database(port=silent_server, ssl_mode="disable"), timeout_s=2)

    steps = checking.run_check(adapter, {}, budget_s=0.3)

    assert (steps[-1].name, steps[-1].status) == ("time limit", StepStatus.FAILED)
    assert [step.name for step in steps[:-1]] == ["resolve"] or steps[0].status is StepStatus.PASSED


class Waiting(WebhookAdapter):
    """A destination type whose second step waits until the first one was told."""

    told = threading.Event()

    def check(self) -> Iterator[Step]:
        yield Step("connect", StepStatus.PASSED)
        yield Step("write", StepStatus.PASSED if self.told.wait(60) else StepStatus.FAILED)


@pytest.mark.databaseless
def test_a_step_is_told_as_soon_as_it_is_done() -> None:
    adapter = Waiting(WebhookConfig(url="http://127.0.0.1:18999/"), WebhookCredentials())
    heard: list[str] = []

    def tell(step: Step) -> None:
        heard.append(step.name)
        adapter.told.set()

    steps = checking.run_check(adapter, {}, checking.BUDGET_S, tell)

    assert [step.status for step in steps] == [StepStatus.PASSED, StepStatus.PASSED]
    assert heard == ["connect", "write"]


class Talkative(WebhookAdapter):
    """A destination type whose check says too much, and then breaks."""

    def check(self) -> Iterator[Step]:
        yield Step("connect", StepStatus.PASSED, f"with {self.credentials.token}", f"keep {self.credentials.token}")
        raise RuntimeError(f"could not send {self.credentials.token}")


@pytest.mark.databaseless
def test_a_check_that_says_too_much_or_breaks_gives_no_secret_away(caplog: Any, capfd: Any) -> None:
    adapter = Talkative(WebhookConfig(url="http://127.0.0.1:18999/"), WebhookCredentials(token=CANARY))

    steps = checking.run_check(adapter, {"token": CANARY})

    assert [step.status for step in steps] == [StepStatus.PASSED, StepStatus.FAILED]
    assert (steps[0].detail, steps[0].hint) == ("with ****", "keep ****")
    assert "RuntimeError" in steps[1].detail
    assert CANARY not in str(steps) + caplog.text + "".join(capfd.readouterr())


@pytest.mark.databaseless
def test_secrets_are_taken_out_of_what_a_check_says() -> None:
    secrets = {"token": "abcd-1234", "longer": "abcd-1234-5678", "short": "ab", "number": 7}

    said = checking.without_secrets("GET /?token=abcd-1234-5678 failed: abcd-1234, ab", secrets)

    assert said == "GET /?token=**** failed: ****, ab"


# --- the cache of adapters ------------------------------------------------------------------------
def connections_of(server: PostgresServer, login: Login) -> int:
    with server.connect() as link:
        row = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s", [login.database, login.user]
        ).fetchone()
        assert row
        return int(row[0])


def test_an_adapter_is_kept_until_its_destination_changes(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))
    cache = AdapterCache()
    first = cache.get(stored(destination))
    old_row = stored(destination)

    assert cache.get(stored(destination)) is first
    services.update_destination(destination, timeout_s=7)
    second = cache.get(stored(destination))

    assert second is not first
    assert second.limits.timeout_s == 7
    assert cache.get(old_row) is second, "a row that was read before the change gets the newer set-up"
    cache.close()


def test_connections_are_closed_when_an_adapter_is_replaced_or_dropped(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))
    cache = AdapterCache()

    held = []  # so that no adapter is closed merely because nobody refers to it

    def connect() -> None:
        adapter = cache.get(stored(destination))
        held.append(adapter)
        adapter._link.start(10)  # type: ignore[attr-defined]
        adapter._link.open()  # type: ignore[attr-defined]
        assert connections_of(postgres_server, postgres_login) == 1

    connect()
    services.update_destination(destination, timeout_s=7)
    connect()
    cache.drop(destination.pk)
    _wait_until_none(postgres_server, postgres_login)
    connect()
    cache.close()
    _wait_until_none(postgres_server, postgres_login)


def _wait_until_none(server: PostgresServer, login: Login) -> None:
    until(lambda: not connections_of(server, login), what="the connection is closed")


def test_limits_of_the_row_reach_the_adapter_and_a_check_caps_them() -> None:
    destination = make_destination(timeout_s=120, concurrency=3)

    assert (build_adapter(destination).limits.timeout_s, build_adapter(destination).limits.concurrency) == (120, 3)
    assert build_adapter(destination, timeout_s=15).limits.timeout_s == 15
