"""What the hub signs is what Terra and Standard Webhooks publish, bit for bit."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from destinations.signatures import standard_key, standard_signature, terra_hmac, terra_signature

pytestmark = pytest.mark.databaseless

DEAUTH = (
    b'{"user": {"last_webhook_update": null, "provider": "FITBIT", "user_id": "d81ea08d-ad4d-44bd-8394-ee4b68a3f96f", '
    b'"scopes": null}, "type": "deauth", "status": "success", "message": "User has deauthenticated", '
    b'"version": "2022-03-16"}'
)
# Published by Terra: in its documentation, and in the tests of its SDKs.
TERRA_VECTORS = [
    (
        b"66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36",
        "1669742999",
        DEAUTH,
        "c885ce58891b69ab5b6c8fc7536544f4f515f2e22ec811152849295b3d995c93",
    ),
    (b"foo", "12345678", b"{'bar':'baz'}", "599aa529690b885a43f184327c582375068d70705b7a471af15e10682c6f5313"),
    (b"secret", "10", b"b", "ad2da523c6d08e6ba4d8c36d86d5ca1f31f26992aabde11659556ced1d96509b"),
    (b"key", "12345678", b"123", "dca55eca8f595bd4d80250ab9609c7cbecec8e581c5c3822294f7c2ee1c99377"),
]
# The example of the Standard Webhooks specification, "Signature scheme".
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_BODY = b'{"test": 2432232314}'
SPEC_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(("secret", "timestamp", "body", "digest"), TERRA_VECTORS)
def test_terras_published_vectors(secret: bytes, timestamp: str, body: bytes, digest: str) -> None:
    assert terra_hmac(secret, timestamp, body) == digest


def test_a_body_that_is_no_text_is_signed_too() -> None:
    assert terra_hmac(b"foo", "1", b"\xff\x00") != terra_hmac(b"foo", "1", b"\xff")


def test_during_a_rotation_terras_header_has_a_signature_of_each_secret() -> None:
    header = terra_signature([b"new", b"old"], "10", b"b")
    assert header == f"t=10,v1={terra_hmac(b'new', '10', b'b')},v1={terra_hmac(b'old', '10', b'b')}"


def test_the_example_of_the_standard_webhooks_specification() -> None:
    made = standard_signature([standard_key(SPEC_SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", SPEC_BODY)
    assert made == SPEC_SIGNATURE


@pytest.mark.parametrize(
    ("secret", "as_receivers_pass_it"),
    [
        (SPEC_SECRET, SPEC_SECRET),
        (SPEC_SECRET.removeprefix("whsec_"), SPEC_SECRET),
        # Base64 without its padding, and a hexadecimal secret of Terra: both are base64 to the library.
        ("whsec_" + base64.b64encode(b"x" * 32).decode().rstrip("="), "whsec_" + base64.b64encode(b"x" * 32).decode()),
        ("66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36", "66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36"),
        ("not base64!", b"not base64!"),
        ("my-secret", b"my-secret"),
        ("größe", "größe".encode()),
        ("whsec_a", b"whsec_a"),  # one character of base64 spells nothing
    ],
)
def test_receivers_verify_with_the_same_secret(secret: str, as_receivers_pass_it: str | bytes) -> None:
    timestamp = str(int(datetime.now(UTC).timestamp()))
    signature = standard_signature([standard_key(secret)], "id-1", timestamp, b'{"a": 1}')
    headers = {"webhook-id": "id-1", "webhook-timestamp": timestamp, "webhook-signature": signature}
    assert Webhook(as_receivers_pass_it).verify(b'{"a": 1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(as_receivers_pass_it).verify(b'{"a": 2}', headers)


def test_a_receiver_with_either_secret_verifies_during_a_rotation() -> None:
    new, old = (base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))
    timestamp = str(int(datetime.now(UTC).timestamp()))
    body = json.dumps({"a": 1}).encode()
    signature = standard_signature([standard_key(new), standard_key(old)], "id-1", timestamp, body)
    headers = {"webhook-id": "id-1", "webhook-timestamp": timestamp, "webhook-signature": signature}
    for secret in (new, old):
        assert Webhook(secret).verify(body, headers) == {"a": 1}
