"""How a PostgreSQL destination is reached, proven and checked, and what it never gives away."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from destinations.adapters.base import Outcome, StepStatus
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.sql_login_suite import SqlLogin
from tests.adapters.sql_support import Place, deliver_once, failed, sample
from tests.services import Login, provide
from tests.services.postgres import PostgresServer, start

pytestmark = pytest.mark.databaseless

CHANGED_BY_TRIGGER = (
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.provider = ''; RETURN NEW; END $$; "
    "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON terra_users FOR EACH ROW EXECUTE FUNCTION f()"
)


@pytest.fixture(scope="module")
def old_server() -> Iterator[PostgresServer]:
    """A server without TLS that asks some users for an MD5 password, and others for none."""
    server = provide(lambda: start(settings={"ssl": "off", "password_encryption": "md5"}))
    yield server
    server.stop()


@pytest.fixture
def old_place(old_server: PostgresServer) -> PostgresPlace:
    place = PostgresPlace(old_server, old_server.create_user_with_page_grants())
    return place


def ask_for(place: PostgresPlace, method: str) -> None:
    """Let the server ask the place's user for its password in one way."""
    assert place.server.folder is not None
    rules = place.server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all {place.login.user} 127.0.0.1/32 {method}\n" + rules.read_text())
    place.run("SELECT pg_reload_conf()")


class TestPostgresLogin(SqlLogin):
    wrong_name = "does not match"
    wrong_names = (("schema", 'x"; DROP'), ("schema", "a.b"), ("schema", "1a"), ("database", "x dbname=y"))

    @pytest.fixture
    def place(self, postgres_place: PostgresPlace) -> PostgresPlace:
        return postgres_place

    def test_a_pasted_ca_lies_in_a_private_file_only_while_it_is_needed(
        self, tls_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        adapter = tls_place.adapter()
        adapter.deliver([sample("daily")])
        assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
        adapter.close()
        assert list(tmp_path.iterdir()) == []
        deliver_once(tls_place.adapter(password="wrong"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("change", "step", "said"),
        [
            ("REVOKE CREATE ON SCHEMA public FROM {user}", "permission", 'GRANT CREATE ON SCHEMA "public" TO "{user}"'),
            ("ALTER TABLE terra_users DROP provider", "permission", "ADD COLUMN provider text"),
            ("REVOKE INSERT ON terra_users FROM {user}", "permission", "GRANT INSERT ON"),
            ("ALTER TABLE terra_other_payloads ADD CHECK (payload_type <> 'check')", "write", "23514"),
            ("CREATE RULE r AS ON UPDATE TO terra_users DO ALSO NOTHING", "write", "0A000"),
            (CHANGED_BY_TRIGGER, "read back", "triggers"),
        ],
    )
    def test_a_check_finds_what_would_fail_every_delivery(
        self, place: Place, change: str, step: str, said: str
    ) -> None:
        self.check_finds(place, (change,), step, said)

    def test_a_check_names_a_schema_that_is_missing(self, place: Place) -> None:
        step, text = failed(list(place.adapter(schema="nowhere").check()))
        assert (step, 'CREATE SCHEMA "nowhere"' in text) == ("permission", True)


# --- who asks -------------------------------------------------------------------------------
def test_a_server_without_tls_is_refused_before_the_password_is_offered(old_place: PostgresPlace) -> None:
    ask_for(old_place, "password")  # would take it in clear
    for mode in ("verify-full", "require"):
        result = deliver_once(old_place.adapter(ssl_mode=mode))
        assert (result.code, "ssl = on" in result.hint) == ("tls_failed", True)


def test_a_password_is_shown_to_scram_only_unless_md5_is_allowed(old_place: PostgresPlace) -> None:
    ask_for(old_place, "md5")
    result = deliver_once(old_place.adapter(ssl_mode="disable"))
    assert (result.outcome, result.code) == (Outcome.RETRY, "auth_method_refused")
    lenient = {"ssl_mode": "disable", "auth_method": "scram-sha-256,md5"}
    assert deliver_once(old_place.adapter(**lenient)).outcome is Outcome.DELIVERED
    for method in ("password", "trust"):
        ask_for(old_place, method)
        result = deliver_once(old_place.adapter(**lenient))
        assert (result.outcome, result.code) == (Outcome.RETRY, "auth_method_refused")


def test_the_environment_has_no_say(postgres_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGPASSWORD": postgres_place.login.password,
        "PGSSLMODE": "disable",
        "PGSSLROOTCERT": "/nowhere",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c default_transaction_read_only=on",
        "PGREQUIREAUTH": "none",
        "PGTARGETSESSIONATTRS": "standby",
    }.items():
        monkeypatch.setenv(name, value)
    assert deliver_once(postgres_place.adapter()).outcome is Outcome.DELIVERED
    assert deliver_once(postgres_place.adapter(password="")).outcome is Outcome.RETRY


def test_the_set_up_text_does_what_it_says(postgres_server: PostgresServer) -> None:
    login = Login(postgres_server.create_database(), "Terra-user.7@host", "your_password")
    place = PostgresPlace(postgres_server, login)
    place.run('DROP USER IF EXISTS "Terra-user.7@host"')
    adapter = place.adapter()
    place.run(adapter.setup(adapter.config))
    assert StepStatus.FAILED not in {step.status for step in adapter.check()}
    assert deliver_once(adapter).outcome is Outcome.DELIVERED
