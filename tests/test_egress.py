"""The hub dials no address that its operator has not allowed, however it is spelled."""

from types import SimpleNamespace

import pytest

from destinations.egress import (
    HTTP_REFUSED_PORTS,
    EgressPolicy,
    EgressRefused,
    current_policy,
    own_endpoints,
    resolve,
    verdict,
)
from destinations.hosts import check_host, parse_url
from tests.nameserver import in_process

pytestmark = pytest.mark.databaseless

NOTHING = EgressPolicy()
EVERYTHING = EgressPolicy(allow=("0.0.0.0/0", "::/0"))

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
          "11.0.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]  # fmt: skip
PRIVATE = ["127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
           "100.64.0.1", "100.127.255.255", "198.18.0.1", "192.0.0.8", "::1", "fc00::1", "fdff::1",
           "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1"]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1",
    "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255", "240.0.0.1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "192.88.99.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
    "2001:db8::1", "2001::1", "2001:1ff::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "64:ff9b:1::1",
    "::7f00:1", "::127.0.0.1", "::a00:1", "100::1", "4000::1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
]  # fmt: skip


def refused(ip: str, policy: EgressPolicy, port: int = 443) -> EgressRefused | None:
    try:
        verdict(ip, port, policy)
    except EgressRefused as refusal:
        return refusal
    return None


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_are_allowed(ip: str) -> None:
    assert refused(ip, NOTHING) is None


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_need_the_operators_word(ip: str) -> None:
    refusal = refused(ip, NOTHING)
    assert refusal is not None
    assert "EGRESS_ALLOW" in refusal.hint
    assert refused(ip, EVERYTHING) is None


@pytest.mark.parametrize("ip", NEVER)
def test_no_setting_opens_these_addresses(ip: str) -> None:
    refusal = refused(ip, EVERYTHING)
    assert refusal is not None
    assert "never dialled" in refusal.detail


def test_the_hint_names_the_entry_to_add_and_that_entry_works() -> None:
    refusal = refused("10.0.3.7", NOTHING, 8443)
    assert refusal is not None
    assert (refusal.detail, refusal.hint) == (
        "Address 10.0.3.7 is private.",
        "Add 10.0.3.0/24 or 10.0.3.7:8443 to EGRESS_ALLOW.",
    )
    for entry in ("10.0.3.0/24", "10.0.3.7:8443", "10.0.3.7", "10.0.3.9/24", " 10.0.3.0/24 "):
        assert refused("10.0.3.7", EgressPolicy(allow=(entry,)), 8443) is None


@pytest.mark.parametrize("entry", ["10.0.4.0/24", "10.0.3.7:8444", "10.0.3.8:8443", "db.internal:8443"])
def test_an_entry_allows_what_it_says_and_no_more(entry: str) -> None:
    assert refused("10.0.3.7", EgressPolicy(allow=(entry,)), 8443) is not None


def test_an_entry_with_a_name_allows_the_addresses_of_that_name() -> None:
    policy = EgressPolicy(allow=("DB.internal:5432", "[fd00::7]:5432"))
    verdict("10.0.3.7", 5432, policy, host="db.internal")
    verdict("fd00::7", 5432, policy)
    for host, port in (("db.internal", 5433), ("other.internal", 5432)):
        with pytest.raises(EgressRefused):
            verdict("10.0.3.7", port, policy, host=host)
    with pytest.raises(EgressRefused, match="never"):
        verdict("169.254.169.254", 5432, policy, host="db.internal")


@pytest.mark.parametrize(
    "entry", ["db.internal", "10.0.0.0/33", "db.internal:", "db.internal:0", "a b:80", "http://x/"]
)
def test_an_entry_that_says_nothing_is_an_error_and_not_skipped(entry: str) -> None:
    with pytest.raises(ValueError, match=r"EGRESS_ALLOW.*host:port"):
        EgressPolicy(allow=(entry,))


@pytest.mark.parametrize("ip", ["2130706433", "127.1", "0x7f.1", "localhost", "", "1.2.3.4.5", "010.0.0.1"])
def test_only_canonical_addresses_get_a_verdict(ip: str) -> None:
    with pytest.raises(EgressRefused, match="not an address"):
        verdict(ip, 443, EVERYTHING)


def test_ports_of_other_services_are_refused_to_http() -> None:
    for port in (22, 25, 53, 111, 2375, 6379, 9200, 11211):
        verdict("8.8.8.8", port, NOTHING)
        with pytest.raises(EgressRefused, match=f"Port {port}"):
            verdict("8.8.8.8", port, EVERYTHING, refused_ports=HTTP_REFUSED_PORTS)
    for port in (80, 443, 8000, 8080, 8443, 65535):
        verdict("8.8.8.8", port, NOTHING, refused_ports=HTTP_REFUSED_PORTS)
    for port in (0, -1, 65536):
        with pytest.raises(EgressRefused, match="is not a port"):
            verdict("8.8.8.8", port, EVERYTHING)


# --- the hub's own ---------------------------------------------------------------------------
def test_the_hubs_own_database_is_refused_under_every_address_it_answers_to() -> None:
    policy = EgressPolicy(allow=EVERYTHING.allow, never=(("localhost", 5432), ("10.1.1.1", 6379), ("hub.example", 443)))
    for ip, port in (
        ("127.0.0.1", 5432),
        ("127.0.0.9", 5432),
        ("::1", 5432),
        ("::ffff:127.0.0.1", 5432),
        ("10.1.1.1", 6379),
    ):
        with pytest.raises(EgressRefused, match="the hub's own"):
            verdict(ip, port, policy)
    for ip, port in (("127.0.0.1", 5433), ("10.1.1.2", 6379), ("10.1.1.1", 5432), ("8.8.8.8", 443)):
        verdict(ip, port, policy)
    with pytest.raises(EgressRefused, match="the hub's own"):
        resolve("HUB.example.", 443, policy)


def hub_settings(**changed: object) -> SimpleNamespace:
    return SimpleNamespace(
        **{"DATABASES": {}, "CACHES": {}, "PUBLIC_URL": "https://hub.example", "DEMO_ECHO": False, **changed}
    )


def test_what_the_hub_runs_on_is_taken_from_its_settings() -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"}
    postgres = {"ENGINE": "django.db.backends.postgresql", "HOST": "10.1.1.1", "PORT": ""}
    by_socket = {"ENGINE": "django.db.backends.postgresql", "HOST": "/run/postgresql"}
    cache = {"LOCATION": "redis://:secret@10.1.1.2/1"}
    own = own_endpoints(
        hub_settings(
            DATABASES={"default": postgres, "a": sqlite, "b": by_socket},
            CACHES={"default": cache, "local": {"LOCATION": "unique"}},
            CELERY_BROKER_URL="amqp://user@10.1.1.3//",
        )
    )
    assert set(own) == {("10.1.1.1", 5432), ("10.1.1.2", 6379), ("10.1.1.3", 5672), ("hub.example", 443)}


def test_the_demonstration_may_post_to_the_hubs_own_echo_page() -> None:
    own = own_endpoints(hub_settings(PUBLIC_URL="http://localhost:8000"))
    assert own == (("localhost", 8000),)
    assert own_endpoints(hub_settings(PUBLIC_URL="http://localhost:8000", DEMO_ECHO=True)) == ()


def test_the_policy_comes_from_the_settings(settings: SimpleNamespace) -> None:
    settings.EGRESS_ALLOW = ["10.0.3.0/24"]
    settings.PUBLIC_URL = "https://hub.example"
    policy = current_policy()
    verdict("10.0.3.7", 443, policy)
    with pytest.raises(EgressRefused, match="the hub's own"):
        verdict("8.8.8.8", 443, policy, host="hub.example")


# --- names ------------------------------------------------------------------------------------
AMBIGUOUS = [
    "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "1.2.3.4.5", "0x7f.0.0.0x1", "foo.0x7f",
    "foo.1", "127.0.0.1\x00.example.com", "example.com\x00", "exa mple.com", "exam\tple.com", "exam\nple.com",
    "example.com\\@evil", "example.com%5c", "user@example.com", "user:pw@example.com", "example..com", ".example.com",
    "-a.example", "a-.example", "a" * 64 + ".example", "a." * 127 + "example", "[::1", "::1]", "[127.0.0.1]",
    "fe80::1%eth0", "[fe80::1%25eth0]", "\u202eevil.example", "\ud800.example", "", "  ", ".", "a/b", "a?b", "a#b",
    "a:80",
]  # fmt: skip


@pytest.mark.parametrize("host", AMBIGUOUS)
def test_names_that_two_parsers_read_differently_are_refused(host: str) -> None:
    with pytest.raises(EgressRefused):
        check_host(host)


THIS_MACHINE = ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "LOCALHOST", "localhost.", "127.0.0.1",
                "[::1]", "::1", "[::ffff:127.0.0.1]", " 127.0.0.1 ", "127.0.0.1."]  # fmt: skip


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_every_spelling_of_this_machine_is_judged_as_this_machine(host: str) -> None:
    with pytest.raises(EgressRefused, match="loopback"):
        resolve(host, 443, NOTHING)


def test_names_are_read_in_one_form() -> None:
    assert check_host("API.Example.COM.") == "api.example.com"
    assert check_host("bücher.example") == "xn--bcher-kva.example"
    assert check_host("my_service") == "my_service"
    assert check_host("[2606:4700::0001]") == "2606:4700::1"


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("https://API.example.com", "https://api.example.com/"),
        ("HTTP://api.example.com:8080/a?b=c#d", "http://api.example.com:8080/a?b=c"),
        ("https://api.example.com:443/a%20b/ü", "https://api.example.com/a%20b/%C3%BC"),
        ("https://[2606:4700::1]:8443/x", "https://[2606:4700::1]:8443/x"),
        ("https://bücher.example?q", "https://xn--bcher-kva.example/?q"),
        ("  https://api.example.com/x ", "https://api.example.com/x"),
    ],
)
def test_urls_are_put_into_one_form(url: str, dialled: str) -> None:
    assert parse_url(url).url == dialled


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "file:///etc/passwd", "gopher://a.example", "//a.example", "a.example", "https://", "https:///x",
     "https://user@a.example/", "https://user:pw@a.example", "https://a.example\\@b.example/", "https://a.example:0/",
     "https://a.example:99999/", "https://a.example:x/", "https://a.example/ b", "https://a.example/\r\nX: y",
     "https://a.ex\x00ample/", "https://a.example/\ud800", "https://2130706433/", "https://0x7f.1/", "https://[::1/",
     "https://[::1]x/", "https://a.example:80:80/", "javascript:alert(1)", ""],
)  # fmt: skip
def test_malformed_and_foreign_urls_are_refused_with_what_to_change(url: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        parse_url(url)
    assert caught.value.detail
    assert caught.value.hint


def test_a_password_in_a_url_is_refused_without_being_repeated() -> None:
    with pytest.raises(EgressRefused, match="user name or a password") as caught:
        parse_url("https://user:canary@api.example.com/")
    assert "canary" not in caught.value.detail + caught.value.hint
    assert "credentials" in caught.value.hint


# --- lookups, through a name server of our own -------------------------------------------------
RESOLVE = """
import threading
from destinations.egress import EgressPolicy, EgressRefused, ResolveFailed, resolve
policy = EgressPolicy(allow=("10.0.3.0/24", "named.test:5432"))
def outcome(name, port=443, timeout_s=30):
    try:
        return list(resolve(name, port, policy, timeout_s=timeout_s))
    except (EgressRefused, ResolveFailed) as error:
        return f"{type(error).__name__}: {error.detail}"
"""


def test_one_bad_address_spoils_the_whole_answer() -> None:
    zone = {
        "good.test": ["93.184.216.34", "2606:4700::1"],
        "mixed.test": ["93.184.216.34", "10.9.9.9"],
        "mixed6.test": ["93.184.216.34", "fe80::1"],
        "allowed.test": ["10.0.3.7"],
        "named.test": ["192.168.1.1"],
    }
    script = RESOLVE + "found.update({name: outcome(name) for name in zone}, port=outcome('named.test', 5432))"
    found = in_process(zone, script)
    assert sorted(found["good.test"]) == ["2606:4700::1", "93.184.216.34"]
    assert found["mixed.test"] == "EgressRefused: Address 10.9.9.9 is private."
    assert found["mixed6.test"].startswith("EgressRefused: Address fe80::1 is link-local")
    assert found["allowed.test"] == ["10.0.3.7"]
    assert found["named.test"] == "EgressRefused: Address 192.168.1.1 is private."
    assert found["port"] == ["192.168.1.1"]


def test_search_domains_are_not_asked_and_the_hosts_file_is() -> None:
    zone = {"api.corp.test": ["10.0.3.7"], "api.example.com.corp.test": ["10.0.3.7"]}
    script = RESOLVE + (
        "from destinations.hosts import lookup\n"
        "found.update({name: outcome(name) for name in ('api', 'api.example.com', 'api.corp.test')})\n"
        "found['localhost'] = lookup('localhost', 1)"
    )
    found = in_process(zone, script, options="search corp.test")
    assert found["api"].startswith("ResolveFailed: api has no address")
    assert found["api.example.com"].startswith("ResolveFailed")
    assert found["api.corp.test"] == ["10.0.3.7"]
    assert "127.0.0.1" in found["localhost"]


def test_a_name_server_that_does_not_answer_costs_the_time_allowed_and_one_thread() -> None:
    script = RESOLVE + (
        "before = threading.active_count()\n"
        "found['all'] = [outcome('slow.test', timeout_s=0.3) for _ in range(4)]\n"
        "found['threads'] = threading.active_count() - before"
    )
    found = in_process({"slow.test": []}, script)
    assert found["all"] == ["ResolveFailed: The lookup of slow.test was not answered within 0.3 s."] * 4
    assert found["threads"] <= 1
