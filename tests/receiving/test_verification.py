"""Who sent a request: signature and address. Pure, with the clock handed in."""

import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from terra.utils.verify_signature import _compute_signature, verify_terra_webhook_signature

from destinations.signatures import terra_hmac, terra_signature
from webhooks.receiving.verification import (
    HEADERS,
    Secret,
    SignatureRefused,
    Window,
    address_allowed,
    client_address,
    parse_address,
    parse_signature,
    verify,
)

pytestmark = pytest.mark.databaseless
quickly = settings(max_examples=60)

PAGE_SECRET = "66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36"
# Terra's page *Destinations*, its SDKs' tests: secret, header, body, does it verify.
VECTORS = [
    (
        PAGE_SECRET,
        "t=1669742999,v1=c885ce58891b69ab5b6c8fc7536544f4f515f2e22ec811152849295b3d995c93",
        b'{"user": {"last_webhook_update": null, "provider": "FITBIT", '
        b'"user_id": "d81ea08d-ad4d-44bd-8394-ee4b68a3f96f", "scopes": null}, "type": "deauth", '
        b'"status": "success", "message": "User has deauthenticated", '
        b'"version": "2022-03-16"}',
        True,
    ),
    (
        PAGE_SECRET,
        "t=1669743290,v1=27107029cb01871b164fc70b2065aee1fb4f6008b76c77888825b512fbdc7de1",
        b'{"status": "success", "user": {"scopes": null, "last_webhook_update": null, "provider": null, '
        b'"user_id": "26fd4019-5e74-4087-9433-c728938f194d"}, "type": "deauth", '
        b'"message": "User has deauthenticated", "version": "2022-03-16"}',
        False,
    ),
    ("foo", "t=12345678,v1=599aa529690b885a43f184327c582375068d70705b7a471af15e10682c6f5313", b"{'bar':'baz'}", True),
    ("secret", "t=10,v1=ad2da523c6d08e6ba4d8c36d86d5ca1f31f26992aabde11659556ced1d96509b", b"b", True),
    ("key", "t=12345678,v1=dca55eca8f595bd4d80250ab9609c7cbecec8e581c5c3822294f7c2ee1c99377", b"123", True),
]
T = 1_700_000_000
NOW = datetime.fromtimestamp(T, UTC)
BODY = b'{"type":"daily"}'
SECRET = b"a-secret-of-the-source"
HEX = terra_hmac(SECRET, str(T), BODY)
GOOD = f"t={T},v1={HEX}"


def judge(
    header: str | dict[str, str],
    *,
    at: datetime = NOW,
    secrets: tuple[Secret, ...] = (Secret(SECRET),),
    window: Window = Window(),  # noqa: B008  # frozen
    body: bytes = BODY,
) -> str:
    """Return ``fresh``, ``stale`` or the code of the refusal."""
    headers = {"terra-signature": header} if isinstance(header, str) else header
    try:
        return "stale" if verify(headers, body, secrets, at, window)[1] else "fresh"
    except SignatureRefused as refused:
        return refused.code if refused.detail else "no detail"


def signed_at(seconds_ago: float) -> str:
    stamp = str(int(T - seconds_ago))
    return f"t={stamp},v1={terra_hmac(SECRET, stamp, BODY)}"


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(("secret", "header", "body", "valid"), VECTORS)
def test_published_vectors(name: str, secret: str, header: str, body: bytes, valid: bool) -> None:
    at = datetime.fromtimestamp(parse_signature(header).timestamp, UTC)
    found = judge({name: header}, at=at, secrets=(Secret(secret.encode()),), body=body)
    assert found == ("fresh" if valid else "signature_mismatch")


def test_both_header_names_may_come_and_one_that_fits_is_enough() -> None:
    wrong = f"t={T},v1={'0' * 64}"
    assert judge(dict.fromkeys(HEADERS, GOOD)) == "fresh"
    for first, second in (HEADERS, HEADERS[::-1]):
        assert judge({first: GOOD, second: wrong}) == "fresh"
        assert judge({first: GOOD, second: "nonsense"}) == "fresh"
    assert judge(dict.fromkeys(HEADERS, wrong)) == "signature_mismatch"


def test_any_of_several_v1_is_enough_and_no_other_scheme_ever_is() -> None:
    assert judge(f"t={T},v1={'0' * 64},v1={HEX}") == "fresh"
    assert judge(f"t={T},v1={HEX},v1={'0' * 64}") == "fresh"
    assert judge(f"t={T},v0={HEX},v1={'0' * 64}") == "signature_mismatch"
    assert judge(f"t={T},v0={HEX}") == "signature_malformed"
    assert judge(f"t={T},v1={HEX},v0={'0' * 64},v2=x") == "fresh"


def test_in_a_rotation_the_old_secret_is_live_for_its_grace_and_then_not() -> None:
    ends = NOW + timedelta(hours=24)
    secrets = (Secret(b"the-new-secret"), Secret(SECRET, ends))
    new = f"t={T},v1={terra_hmac(b'the-new-secret', str(T), BODY)}"
    window = Window(tolerance=10**6)
    for moment in (NOW, ends):
        assert judge(GOOD, secrets=secrets, at=moment, window=window) == "fresh"
    after = ends + timedelta(seconds=1)
    assert judge(GOOD, secrets=secrets, at=after, window=window) == "signature_mismatch"
    assert judge(new, secrets=secrets, at=after, window=window) == "fresh"
    assert judge(GOOD, secrets=secrets[1:], at=after, window=window) == "signature_no_secret"
    assert judge(GOOD, secrets=()) == "signature_no_secret"


@pytest.mark.parametrize(
    "header",
    [
        f"t={T},t={T},v1={HEX}",
        f"{GOOD},{GOOD}",  # two header lines, merged on the way
        f"v1={HEX}",
        f"t=,v1={HEX}",
        f"t,v1={HEX}",
        f"t= {T},v1={HEX}",
        f"t=+{T},v1={HEX}",
        f"t=-{T},v1={HEX}",
        f"t=1_700_000_000,v1={HEX}",
        f"t={T}.5,v1={HEX}",
        f"t=１７００００００００,v1={HEX}",
        f"T={T},v1={HEX}",
        f"t={T}000,v1={HEX}",
        f"t=1{T}000,v1={HEX}",
        f"t={T}",
        f"t={T},v1=",
        f"t={T},v1={HEX[:-1]}",
        f"t={T},v1={HEX}0",
        f"t={T},v1={HEX[:-1]}g",
        f"t={T},v1={HEX[:-1]}é",
        f"t={T},v1={HEX[:-1]}０",
        f"t={T},v1={HEX},v1=short",
        f"t={T}" + f",v1={HEX}" * 6,
        f"{GOOD},v0={'x' * 1024}",
        f"{GOOD}\n",
        "\x00",
    ],
)
def test_a_malformed_header_is_refused_as_such(header: str) -> None:
    # A trailing line break is stripped with the spaces; every other one here cannot be read.
    assert judge(header) == ("fresh" if header.endswith("\n") else "signature_malformed")


def test_what_is_well_formed_is_taken() -> None:
    assert judge(f"t={T},v1={HEX.upper()}") == "fresh"
    assert judge(f" t={T} , v1={HEX} ") == "fresh"
    assert judge(f"v1={HEX},t={T}") == "fresh"
    assert judge(f"t={T}" + f",v1={HEX}" * 5) == "fresh"
    assert judge({}) == judge("") == "signature_missing"


def test_milliseconds_are_named_as_such() -> None:
    with pytest.raises(SignatureRefused, match="looks like milliseconds"):
        parse_signature(f"t={T}123,v1={HEX}")


def test_the_time_is_signed_exactly_as_it_stands() -> None:
    stamp = f"0{T}"
    assert judge(f"t={stamp},v1={terra_hmac(SECRET, stamp, BODY)}") == "fresh"
    assert judge(f"t={stamp},v1={HEX}") == "signature_mismatch"


@pytest.mark.parametrize(
    ("seconds_ago", "strict", "found"),
    [
        (300, False, "fresh"),
        (-300, False, "fresh"),
        (301, False, "stale"),
        (301, True, "signature_too_old"),
        (300, True, "fresh"),
        (-301, False, "signature_from_future"),
        (-301, True, "signature_from_future"),
        (48 * 3600, False, "stale"),
        (48 * 3600 + 1, False, "signature_too_old"),
        (T, False, "signature_too_old"),
        (-(10**11), False, "signature_from_future"),
    ],
)
def test_age(seconds_ago: int, strict: bool, found: str) -> None:
    assert judge(signed_at(seconds_ago), window=Window(strict=strict)) == found


def test_the_tolerance_is_the_source_s_own() -> None:
    assert judge(signed_at(61), window=Window(tolerance=60, strict=True)) == "signature_too_old"
    assert judge(signed_at(3600), window=Window(tolerance=3600)) == "fresh"
    assert judge(signed_at(100), window=Window(tolerance=10, stale=99)) == "signature_too_old"


def test_an_old_and_a_fresh_signature_at_once_pass() -> None:
    assert judge({HEADERS[0]: signed_at(10**6), HEADERS[1]: GOOD}) == "fresh"


def test_a_wrong_digest_is_told_before_a_wrong_time() -> None:
    # Else anybody could learn the tolerance without the secret.
    assert judge(f"t={T - 10**6},v1={HEX}") == "signature_mismatch"


@quickly
@given(st.text())
@example(GOOD + "\ud800")
@example("t=" + "9" * 5000)
def test_no_header_makes_the_parser_fail_in_another_way(header: str) -> None:
    _parse_or_refuse(header)


_values = st.one_of(st.just(HEX), st.from_regex(r"[0-9a-fA-F]{63,65}"), st.text(max_size=70), st.just(str(T)))
_parts = st.tuples(st.sampled_from(["t", "v1", "v0", " t", "v1 ", "", "T"]), _values).map("=".join)


@quickly
@given(st.lists(_parts, max_size=8).map(",".join))
def test_no_near_miss_makes_the_parser_fail_in_another_way(header: str) -> None:
    _parse_or_refuse(header)
    judge(header)


def _parse_or_refuse(header: str) -> None:
    try:
        found = parse_signature(header)
    except SignatureRefused:
        return
    assert found.timestamp_text.isascii()
    assert found.timestamp_text.isdigit()
    assert all(len(bytes.fromhex(digest)) == 32 for digest in found.digests)


@quickly
@given(st.binary(min_size=1, max_size=40_000), st.integers(min_value=0), st.integers(1, 255))
def test_one_changed_byte_is_enough(body: bytes, position: int, change: int) -> None:
    header = f"t={T},v1={terra_hmac(SECRET, str(T), body)}"
    position %= len(body)
    changed = body[:position] + bytes([body[position] ^ change]) + body[position + 1 :]
    assert judge(header, body=body) == "fresh"
    assert judge(header, body=changed) == "signature_mismatch"


@quickly
@given(st.text(min_size=1), st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_terra_s_own_verifier_takes_what_the_hub_signs_and_the_other_way_round(text: str, secret: str) -> None:
    body = text.encode(errors="replace")
    stamp = str(int(time.time()))
    header = terra_signature([b"another", secret.encode()], stamp, body)
    assert verify_terra_webhook_signature(body.decode(), header, secret)
    theirs = f"t={stamp},v1={_compute_signature(f'{stamp}.{body.decode()}', secret)}"
    assert judge(theirs, at=datetime.now(UTC), secrets=(Secret(secret.encode()),), body=body) == "fresh"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4 ", "1.2.3.4"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("::1", "::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("1.2.3", None),
        ("1.2.3.04", None),
        ("１.2.3.4", None),
        ("1.2.3.4, 5.6.7.8", None),
        ("[", None),
        ("\x00", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    assert parse_address(text) == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "found"),
    [
        ("6.6.6.6", 0, "10.0.0.1"),  # without a trusted proxy nothing but the socket's peer is believed
        ("1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6,1.1.1.1,2.2.2.2", 2, "1.1.1.1"),
        ("6.6.6.6", 2, None),  # shorter than the chain of proxies: nobody knows who sent it
        ("", 1, None),
        ("6.6.6.6, garbage", 1, None),
        ("6.6.6.6, [2001:db8::7]:99", 1, "2001:db8::7"),
    ],
)
def test_the_client_is_the_nth_from_the_right(forwarded: str, proxies: int, found: str | None) -> None:
    assert client_address("10.0.0.1", forwarded, proxies) == (ip_address(found) if found else None)


@quickly
@given(st.text(), st.text(), st.integers(-1, 5))
def test_no_forwarded_text_makes_the_address_fail(peer: str, forwarded: str, proxies: int) -> None:
    client_address(peer, forwarded, proxies)


def test_networks_of_both_kinds() -> None:
    networks = [ip_network("18.133.218.210"), ip_network("10.20.0.0/16"), ip_network("2001:db8::/32")]
    for text in ("18.133.218.210", "10.20.255.255", "::ffff:10.20.0.1", "2001:db8:1::1"):
        assert address_allowed(parse_address(text), networks), text
    for text in ("18.133.218.211", "10.21.0.0", "2001:db9::1", "::1", "nobody"):
        assert not address_allowed(parse_address(text), networks), text
