"""How an SQL destination is reached, proven and checked, and what it never gives away, whatever its type."""

from dataclasses import replace
from typing import Any

import pytest

from destinations.adapters.base import Effect, Outcome, StepStatus
from destinations.adapters.sql_errors import Unwell
from destinations.egress import EgressPolicy
from destinations.specs import problems_of
from tests.adapters.sql_support import LOCAL, Place, SqlSuite, deliver_once, failed, outcomes, sample
from tests.services.authority import Authority

STEPS = ["resolve", "connect", "TLS", "authenticate", "permission", "write", "read back", "clean up"]


class SqlLogin(SqlSuite):
    """Subclasses give ``place``, and list what their checks find."""

    wrong_name: str  # what is said of a certificate of another name
    wrong_names: tuple[tuple[str, str], ...]  # (field, what is no name there)

    @pytest.fixture
    def tls_place(self, place: Place) -> Place:
        if place.server.authority is None:
            pytest.skip("the existing server's CA is not known")
        return place

    # --- who answers ------------------------------------------------------------------------
    def test_by_default_the_server_is_proven_by_ca_and_name(self, tls_place: Place) -> None:
        adapter = tls_place.adapter()
        assert adapter.config.ssl_mode == "verify-full"
        assert outcomes(adapter.deliver([sample("daily")])) == [Outcome.DELIVERED]
        assert tls_place.tls_of(adapter) == "TLSv1.3"
        adapter.close()

    @pytest.mark.parametrize("ca", ["another private CA", "the public CAs"])
    @pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
    def test_a_server_of_another_ca_is_refused(self, tls_place: Place, ca: str, mode: str) -> None:
        pem = Authority().pem if ca == "another private CA" else ""
        result = deliver_once(tls_place.adapter(ca_certificate=pem, ssl_mode=mode))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "tls_failed", Effect.FAILURE)

    @pytest.mark.parametrize(
        ("mode", "code"), [("verify-full", "tls_failed"), ("verify-ca", ""), ("require", ""), ("disable", "")]
    )
    def test_a_certificate_of_another_name_is_refused_where_the_name_counts(
        self, tls_place: Place, mode: str, code: str
    ) -> None:
        with tls_place.proxy("127.0.0.2") as proxy:
            result = deliver_once(tls_place.adapter(host=proxy.host, port=proxy.port, ssl_mode=mode))
        assert result.code == code
        assert (self.wrong_name in result.detail) == (code == "tls_failed")

    def test_only_private_addresses_are_spoken_to_in_clear(self, place: Place) -> None:
        result = deliver_once(place.adapter(host="8.8.8.8", ssl_mode="disable"))  # refused before anything is dialled
        assert (result.code, "public" in result.detail) == ("egress_refused", True)
        assert deliver_once(place.adapter(ssl_mode="disable")).outcome is Outcome.DELIVERED

    def test_an_address_that_is_not_allowed_is_not_dialled(self, place: Place) -> None:
        known = place.adapter()
        own = EgressPolicy(LOCAL.allow, never=((place.server.host, place.server.port),))
        for policy in (None, own):
            result = deliver_once(place.kind(known.config, known.credentials, policy=policy))
            assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "egress_refused", Effect.FAILURE)

    def test_no_error_holds_the_password(self, place: Place) -> None:
        adapter = place.adapter(password="canary-of-a-password")
        link = adapter._new_link()
        link.start(timeout_s=20)
        with pytest.raises(Unwell) as caught:
            link.open()
        error: BaseException | None = caught.value
        while error is not None:  # a driver's own error may have the password in its connection's options
            assert "canary" not in repr(vars(error))
            error = error.__cause__ or error.__context__
        assert "canary" not in f"{adapter.credentials!r} {adapter.target()} {deliver_once(adapter)!r}"

    # --- what an operator enters ------------------------------------------------------------
    @pytest.mark.parametrize("host", ["", "/var/run/server", "@abstract", "a.example,b.example", "a b", "0x7f.1"])
    def test_a_host_that_a_driver_would_read_in_another_way_is_refused(self, place: Place, host: str) -> None:
        assert "host" in place.kind.validate(replace(place.adapter().config, host=host))

    def test_a_name_that_is_no_identifier_is_refused(self, place: Place) -> None:
        for field, value in (("username", "u'"), ("database", "x`y"), *self.wrong_names):
            values = {"host": "db.example.com", "database": "my-db", "username": "terra.user@host", field: value}
            assert set(problems_of(place.kind.config_spec, values)) == {field}

    def test_a_ca_that_is_no_certificate_is_refused(self, place: Place) -> None:
        kind, config = place.kind, replace(place.adapter().config, ca_certificate="-----BEGIN nothing")
        assert "PEM" in kind.validate(config)["ca_certificate"]
        assert "ca_certificate" in kind.validate(replace(config, ssl_mode="verify-ca", ca_certificate=""))
        assert kind.validate(replace(config, ca_certificate=Authority().pem)) == {}

    def test_credentials_print_nothing(self, place: Place) -> None:
        assert "canary" not in repr(place.kind.credentials_spec("canary"))

    # --- the check --------------------------------------------------------------------------
    def test_a_check_passes_every_step_and_leaves_nothing_behind(self, tls_place: Place) -> None:
        adapter = tls_place.adapter()
        adapter.deliver([sample("daily")])
        before = {table: tls_place.rows(table) for table in tls_place.tables()}
        steps = list(adapter.check())
        assert [(step.name, step.status) for step in steps] == [(name, StepStatus.PASSED) for name in STEPS]
        assert {table: tls_place.rows(table) for table in tls_place.tables()} == before
        adapter.close()
        while tls_place.sessions():  # a server takes a moment to notice
            pass

    def test_a_check_of_an_empty_database_makes_no_table(self, place: Place) -> None:
        steps = list(place.adapter().check())
        assert [step.name for step in steps] == STEPS
        assert StepStatus.FAILED not in {step.status for step in steps}
        assert place.tables() == set()

    def test_a_check_names_the_step_that_fails_and_what_to_change(self, tls_place: Place) -> None:
        with tls_place.proxy() as gone:
            closed_port = gone.port
        cases: dict[str, tuple[dict[str, Any], str]] = {
            "resolve": ({"host": "10.1.2.3"}, "Add 10.1.2.0/24"),
            "connect": ({"port": closed_port}, "firewall"),
            "TLS": ({"ca_certificate": ""}, "CA certificate"),
            "authenticate": ({"password": "wrong"}, "Check the user name and the password"),
        }
        for name, (change, hint) in cases.items():
            step, text = failed(list(tls_place.adapter(**change).check()))
            assert (step, hint in text) == (name, True), text

    def check_finds(self, place: Place, changes: tuple[str, ...], step: str, said: str) -> None:
        adapter = place.adapter()
        deliver_once(adapter)
        names = vars(place.login)
        place.run(*(change.format(**names) for change in changes))
        before = {table: place.rows(table) for table in place.tables()}
        name, text = failed(list(adapter.check()))
        assert (name, said.format(**names) in text) == (step, True), text
        assert {table: place.rows(table) for table in place.tables()} == before

    def test_a_check_warns_of_what_can_be_read_on_the_way(self, tls_place: Place) -> None:
        deliver_once(tls_place.adapter())
        for mode in ("require", "disable"):
            steps = {step.name: step.status for step in tls_place.adapter(ssl_mode=mode).check()}
            assert steps.pop("TLS") is StepStatus.WARNING
            assert set(steps.values()) == {StepStatus.PASSED}
