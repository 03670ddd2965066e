"""The key of a service account: what is taken, what is dropped, and what is said of other files."""

import json
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from destinations.adapters import gcs_key
from destinations.adapters.gcs_key import (
    MAX_BYTES,
    MAX_KEY_BITS,
    TOKEN_URI,
    public_facts,
    read_key,
    rebuilt,
    secret_texts,
)
from tests.services.gcs import key_file, pem_of, rsa_key

pytestmark = pytest.mark.databaseless
EMAIL = "terra-hub@my-project.iam.gserviceaccount.com"
GOOD = key_file(EMAIL, "0123456789abcdef0123456789abcdef01234567")


def without(name: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name} | changes


def test_four_fields_are_kept_and_the_rest_is_dropped() -> None:
    hostile = GOOD | {
        "token_uri": "https://evil.example/token",
        "auth_uri": "https://evil.example/",
        "quota_project_id": "theirs",
        "trust_boundary": {"locations": []},
        "credential_source": {"file": "/etc/passwd", "executable": {"command": "/bin/true"}},
    }
    stored = json.loads(rebuilt(json.dumps(hostile)))
    assert stored == {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": GOOD["private_key"],
        "private_key_id": GOOD["private_key_id"],
        "project_id": "hub-tests",
        "token_uri": TOKEN_URI,
    }


def test_text_bytes_order_mark_and_object_give_the_same_and_reading_again_changes_nothing() -> None:
    stored = rebuilt(GOOD)
    for sent in (json.dumps(GOOD), "\ufeff" + json.dumps(GOOD, indent=2) + "\n", stored):
        assert rebuilt(sent) == stored
    assert public_facts(stored) == {"service_account_email": EMAIL}
    assert public_facts("") == {"service_account_email": None}


OTHERS = {
    "authorized_user": (
        {"type": "authorized_user", "client_id": "x", "client_secret": "y", "refresh_token": "z"},
        "a person's own log-in",
    ),
    "external_account": (
        {"type": "external_account", "audience": "//iam", "credential_source": {"file": "/etc/passwd"}},
        "workload identity federation",
    ),
    "workforce": ({"type": "external_account_authorized_user"}, "workforce identity federation"),
    "impersonated": ({"type": "impersonated_service_account"}, "impersonates"),
    "distributed cloud": ({"type": "gdch_service_account"}, "Distributed Cloud"),
    "OAuth client, desktop": ({"installed": {"client_id": "x", "client_secret": "y"}}, "OAuth client"),
    "OAuth client, web": ({"web": {"client_id": "x", "client_secret": "y"}}, "OAuth client"),
    "another type": (without("type", type="service_agent"), "type must be service_account"),
    "no type": (without("type"), "type must be service_account"),
    "PEM": (GOOD["private_key"], "PEM text"),
    "certificate": ("-----BEGIN CERTIFICATE-----\nMII\n", "PEM text"),
    "no JSON": ("AIzaSyExample", "Not JSON"),
    "half of the file": (json.dumps(GOOD)[:900], "Not JSON"),
    "a list": (json.dumps([GOOD]), "not an object"),
    "nested too deeply": ("[" * 10_000, "Not JSON"),
    "a number": (7, "as text or as an object"),
    "too large": (json.dumps(GOOD | {"note": "x" * MAX_BYTES}), "Larger than 16 KB"),
    "too large, as an object": (GOOD | {"note": "x" * MAX_BYTES}, "Larger than 16 KB"),
    "another cloud": (GOOD | {"universe_domain": "evil.example"}, "another cloud"),
    "no e-mail": (without("client_email"), "client_email is missing"),
    "odd e-mail": (GOOD | {"client_email": "a@b\r\nX: y"}, "no e-mail address"),
    "long e-mail": (GOOD | {"client_email": "a" * 2000 + "@b"}, "longer than"),
    "no private key": (without("private_key"), "private_key is missing"),
    "no key id": (GOOD | {"private_key_id": None}, "private_key_id is missing"),
    "odd key id": (GOOD | {"private_key_id": "a b"}, "private_key_id"),
    "no project": (GOOD | {"project_id": ""}, "project_id is missing"),
    "doubly escaped": (GOOD | {"private_key": GOOD["private_key"].replace("\n", "\\n")}, "line ends"),
    "truncated key": (GOOD | {"private_key": GOOD["private_key"][:400]}, "a part of it is missing"),
    "public key": (
        GOOD | {"private_key": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"},
        "no private key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_refused_with_what_it_is_and_what_to_do(name: str) -> None:
    sent, said = OTHERS[name]
    with pytest.raises(ValueError, match=said) as caught:
        rebuilt(sent)
    shown = "".join(traceback.format_exception(caught.value))
    lines = GOOD["private_key"].splitlines()[1:-1]
    assert len(lines) > 20
    assert [line for line in lines if line in shown] == []
    if name != "doubly escaped":
        assert "gcloud iam service-accounts keys create" in str(caught.value)


def test_only_rsa_keys_of_a_fair_size_and_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    small = pem_of(generate_private_key(65537, 1024))
    curve = generate_ec_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    locked = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    for pem, said in ((small, "1024 bits"), (curve, "no RSA key"), (locked, "encrypted")):
        with pytest.raises(ValueError, match=said):
            rebuilt(GOOD | {"private_key": pem})
    assert MAX_KEY_BITS == 4096
    monkeypatch.setattr(gcs_key, "MAX_KEY_BITS", 2047)  # making a key of more than 4096 bits takes seconds
    with pytest.raises(ValueError, match="2048 bits; it must have 2048 to 2047"):
        rebuilt(GOOD)


def test_a_key_shows_nothing_of_itself() -> None:
    key = read_key(GOOD)
    assert GOOD["private_key_id"] not in repr(key)
    assert "PRIVATE" not in repr(key)
    secrets = secret_texts(rebuilt(GOOD))
    assert set(GOOD["private_key"].splitlines()[1:-1]) <= set(secrets)
    assert {GOOD["private_key"], GOOD["private_key_id"]} <= set(secrets)
