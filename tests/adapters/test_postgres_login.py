"""How a PostgreSQL destination is reached, proven and checked, and what it never gives away."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from destinations.adapters.base import Effect, Outcome, Result, Step, StepStatus
from destinations.adapters.postgres import PostgresAdapter, PostgresConfig, PostgresCredentials
from destinations.adapters.postgres_errors import Unwell
from destinations.adapters.postgres_link import Link
from destinations.egress import EgressPolicy
from destinations.specs import problems_of
from tests.adapters.postgres_support import LOCAL, adapter_for, only, outcomes, run_sql, sample, table_rows
from tests.services import provide
from tests.services.authority import Authority
from tests.services.postgres import Login, PostgresServer, start
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless

TABLES_THERE = "SELECT count(*) FROM pg_class WHERE relname LIKE 'terra%'"


@pytest.fixture(scope="module")
def old_server() -> Iterator[PostgresServer]:
    """A server without TLS that asks some users for an MD5 password, and others for none."""
    server = provide(lambda: start(settings={"ssl": "off", "password_encryption": "md5"}))
    yield server
    server.stop()


@pytest.fixture
def tls_login(postgres_server: PostgresServer, postgres_login: Login) -> Login:
    if postgres_server.authority is None:
        pytest.skip("HUB_TEST_POSTGRES names a server whose CA is not known")
    return postgres_login


def deliver_once(adapter: PostgresAdapter) -> Result:
    try:
        return only(adapter.deliver([sample("daily")]))
    finally:
        adapter.close()


def ask_for(server: PostgresServer, user: str, method: str) -> None:
    """Let the server ask ``user`` for its password in one way."""
    assert server.folder is not None
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all {user} 127.0.0.1/32 {method}\n" + rules.read_text())
    with server.connect() as connection:
        connection.execute("SELECT pg_reload_conf()")


def failed(steps: list[Step]) -> tuple[str, str]:
    """Return the name and the text of the one step that failed, which is the last."""
    assert [step.status for step in steps].count(StepStatus.FAILED) == 1
    assert steps[-1].status is StepStatus.FAILED
    return steps[-1].name, f"{steps[-1].detail} {steps[-1].hint}"


# --- who answers ----------------------------------------------------------------------------
def test_by_default_the_server_is_proven_by_ca_and_name(postgres_server: PostgresServer, tls_login: Login) -> None:
    adapter = adapter_for(postgres_server, tls_login)
    assert adapter.config.ssl_mode == "verify-full"
    assert outcomes(adapter.deliver([sample("daily")])) == [Outcome.DELIVERED]
    with postgres_server.connect() as connection:
        query = "SELECT s.ssl, s.version FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE usename = %s"
        assert connection.execute(query, [tls_login.user]).fetchall() == [(True, "TLSv1.3")]
    adapter.close()


@pytest.mark.parametrize("ca", ["another private CA", "the public CAs"])
@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
def test_a_server_of_another_ca_is_refused(
    postgres_server: PostgresServer, tls_login: Login, ca: str, mode: str
) -> None:
    pem = Authority().pem if ca == "another private CA" else ""
    result = deliver_once(adapter_for(postgres_server, tls_login, ca_certificate=pem, ssl_mode=mode))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "tls_failed", Effect.FAILURE)


@pytest.mark.parametrize(
    ("mode", "code"), [("verify-full", "tls_failed"), ("verify-ca", ""), ("require", ""), ("disable", "")]
)
def test_a_certificate_of_another_name_is_refused_where_the_name_counts(
    postgres_server: PostgresServer, tls_login: Login, mode: str, code: str
) -> None:
    with FaultProxy((postgres_server.host, postgres_server.port), host="127.0.0.2") as proxy:
        elsewhere = replace(postgres_server, host=proxy.host, port=proxy.port)
        result = deliver_once(adapter_for(elsewhere, tls_login, ssl_mode=mode))
    assert result.code == code
    assert ("does not match" in result.detail) == (code == "tls_failed")


def test_a_server_without_tls_is_refused_before_the_password_is_offered(old_server: PostgresServer) -> None:
    login = old_server.create_user_with_page_grants()
    ask_for(old_server, login.user, "password")  # would take it in clear
    for mode in ("verify-full", "require"):
        result = deliver_once(adapter_for(old_server, login, ssl_mode=mode))
        assert (result.code, "ssl = on" in result.hint) == ("tls_failed", True)


def test_only_private_addresses_are_spoken_to_in_clear(postgres_server: PostgresServer, postgres_login: Login) -> None:
    public = adapter_for(postgres_server, postgres_login, host="8.8.8.8", ssl_mode="disable")
    result = deliver_once(public)  # refused before anything is dialled
    assert (result.code, "public" in result.detail) == ("egress_refused", True)
    assert deliver_once(adapter_for(postgres_server, postgres_login, ssl_mode="disable")).outcome is Outcome.DELIVERED


def test_an_address_that_is_not_allowed_is_not_dialled(postgres_server: PostgresServer, postgres_login: Login) -> None:
    known = adapter_for(postgres_server, postgres_login)
    for policy in (None, EgressPolicy(LOCAL.allow, never=((postgres_server.host, postgres_server.port),))):
        result = deliver_once(PostgresAdapter(known.config, known.credentials, policy=policy))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "egress_refused", Effect.FAILURE)


# --- who asks -------------------------------------------------------------------------------
def test_a_password_is_shown_to_scram_only_unless_md5_is_allowed(old_server: PostgresServer) -> None:
    login = old_server.create_user_with_page_grants()
    ask_for(old_server, login.user, "md5")
    result = deliver_once(adapter_for(old_server, login, ssl_mode="disable"))
    assert (result.outcome, result.code) == (Outcome.RETRY, "auth_method_refused")
    lenient = {"ssl_mode": "disable", "auth_method": "scram-sha-256,md5"}
    assert deliver_once(adapter_for(old_server, login, **lenient)).outcome is Outcome.DELIVERED
    for method in ("password", "trust"):
        ask_for(old_server, login.user, method)
        result = deliver_once(adapter_for(old_server, login, **lenient))
        assert (result.outcome, result.code) == (Outcome.RETRY, "auth_method_refused")


def test_the_environment_has_no_say(
    postgres_server: PostgresServer, postgres_login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPASSWORD": postgres_login.password,
        "PGSSLMODE": "disable",
        "PGSSLROOTCERT": "/nowhere",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c default_transaction_read_only=on",
        "PGREQUIREAUTH": "none",
        "PGTARGETSESSIONATTRS": "standby",
    }.items():
        monkeypatch.setenv(name, value)
    assert deliver_once(adapter_for(postgres_server, postgres_login)).outcome is Outcome.DELIVERED
    assert deliver_once(adapter_for(postgres_server, postgres_login, password="")).outcome is Outcome.RETRY


def test_no_error_holds_the_password(postgres_server: PostgresServer, postgres_login: Login) -> None:
    adapter = adapter_for(postgres_server, postgres_login, password="canary-of-a-password", schema="nowhere")
    link = Link(adapter.config, adapter.credentials, LOCAL)
    link.start(timeout_s=20)
    with pytest.raises(Unwell) as caught:
        link.open()
    error: BaseException | None = caught.value
    while error is not None:  # the driver's own error has the password in its connection's options
        assert "canary" not in repr(vars(error))
        error = error.__cause__ or error.__context__
    assert "canary" not in f"{adapter.credentials!r} {adapter.target()} {deliver_once(adapter)!r}"


def test_a_pasted_ca_lies_in_a_private_file_only_while_it_is_needed(
    postgres_server: PostgresServer, tls_login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    adapter = adapter_for(postgres_server, tls_login)
    adapter.deliver([sample("daily")])
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
    adapter.close()
    assert list(tmp_path.iterdir()) == []
    deliver_once(adapter_for(postgres_server, tls_login, password="wrong"))
    assert list(tmp_path.iterdir()) == []


# --- what an operator enters ----------------------------------------------------------------
@pytest.mark.parametrize("host", ["", "/var/run/postgresql", "@abstract", "a.example,b.example", "a b", "0x7f.1"])
def test_a_host_that_libpq_would_read_in_another_way_is_refused(host: str) -> None:
    config = PostgresConfig(host=host, database="d", username="u")
    assert "host" in PostgresAdapter.validate(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", 'x"; DROP'), ("schema", "a.b"), ("schema", "1a"), ("database", "x dbname=y"), ("username", "u'")],
)
def test_a_name_that_is_no_identifier_is_refused(field: str, value: str) -> None:
    values = {"host": "db.example.com", "database": "my-db", "username": "terra.user@host", field: value}
    assert set(problems_of(PostgresConfig, values)) == {field}


def test_a_ca_that_is_no_certificate_is_refused() -> None:
    config = PostgresConfig(host="db.example.com", database="d", username="u", ca_certificate="-----BEGIN nothing")
    assert "PEM" in PostgresAdapter.validate(config)["ca_certificate"]
    assert "ca_certificate" in PostgresAdapter.validate(replace(config, ssl_mode="verify-ca", ca_certificate=""))
    assert PostgresAdapter.validate(replace(config, ca_certificate=Authority().pem)) == {}


def test_the_set_up_text_does_what_it_says(postgres_server: PostgresServer) -> None:
    user, database = "Terra-user.7@host", postgres_server.create_database()
    login = Login(database, user, "your_password")
    run_sql(postgres_server, login, 'DROP USER IF EXISTS "Terra-user.7@host"')
    adapter = adapter_for(postgres_server, login)
    run_sql(postgres_server, login, adapter.setup(adapter.config))
    assert StepStatus.FAILED not in {step.status for step in adapter.check()}
    assert deliver_once(adapter).outcome is Outcome.DELIVERED


# --- the check ------------------------------------------------------------------------------
def test_a_check_passes_every_step_and_leaves_nothing_behind(postgres_server: PostgresServer, tls_login: Login) -> None:
    adapter = adapter_for(postgres_server, tls_login)
    names = ["resolve", "connect", "TLS", "authenticate", "permission", "write", "read back", "clean up"]
    for relations in (0, 8):  # three tables, their primary keys, and two indexes
        steps = list(adapter.check())
        assert [(step.name, step.status) for step in steps] == [(name, StepStatus.PASSED) for name in names]
        with postgres_server.connect(tls_login.database) as connection:
            assert connection.execute(TABLES_THERE).fetchone() == (relations,)
        adapter.deliver([sample("daily")])
    assert len(table_rows(postgres_server, tls_login, "terra_users")) == 1
    adapter.close()
    with postgres_server.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state IS NOT NULL"
        assert connection.execute(query, [tls_login.user]).fetchone() == (0,)


def test_a_check_names_the_step_that_fails_and_what_to_change(
    postgres_server: PostgresServer, tls_login: Login
) -> None:
    with FaultProxy((postgres_server.host, postgres_server.port)) as gone:
        closed_port = gone.port
    cases = {
        "resolve": ({"host": "10.1.2.3"}, "Add 10.1.2.0/24"),
        "connect": ({"port": closed_port}, "firewall"),
        "TLS": ({"ca_certificate": ""}, "CA certificate"),
        "authenticate": ({"password": "wrong"}, "Check the user name and the password"),
        "permission": ({"schema": "nowhere"}, 'CREATE SCHEMA "nowhere"'),
    }
    for name, (change, hint) in cases.items():
        step, text = failed(list(adapter_for(postgres_server, tls_login, **change).check()))  # type: ignore[arg-type]
        assert (step, hint in text) == (name, True), text


@pytest.mark.parametrize(
    ("change", "step", "said"),
    [
        ("REVOKE CREATE ON SCHEMA public FROM {user}", "permission", 'GRANT CREATE ON SCHEMA "public" TO "{user}"'),
        ("ALTER TABLE terra_users DROP provider", "permission", "ADD COLUMN provider text"),
        ("REVOKE INSERT ON terra_users FROM {user}", "permission", "GRANT INSERT ON"),
        ("ALTER TABLE terra_other_payloads ADD CHECK (payload_type <> 'check')", "write", "23514"),
        ("CREATE RULE r AS ON UPDATE TO terra_users DO ALSO NOTHING", "write", "0A000"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.provider = ''; RETURN NEW; END $$; "
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON terra_users FOR EACH ROW EXECUTE FUNCTION f()",
            "read back",
            "triggers",
        ),
    ],
)
def test_a_check_finds_what_would_fail_every_delivery(
    postgres_server: PostgresServer, postgres_login: Login, change: str, step: str, said: str
) -> None:
    adapter = adapter_for(postgres_server, postgres_login)
    deliver_once(adapter)
    run_sql(postgres_server, postgres_login, change.format(user=postgres_login.user))
    name, text = failed(list(adapter.check()))
    assert (name, said.format(user=postgres_login.user) in text) == (step, True), text


def test_a_check_warns_of_what_can_be_read_on_the_way(postgres_server: PostgresServer, tls_login: Login) -> None:
    for mode in ("require", "disable"):
        steps = {step.name: step.status for step in adapter_for(postgres_server, tls_login, ssl_mode=mode).check()}
        assert steps.pop("TLS") is StepStatus.WARNING
        assert set(steps.values()) == {StepStatus.PASSED}


def test_credentials_print_nothing() -> None:
    assert repr(PostgresCredentials("canary")) == "<PostgresCredentials>"
