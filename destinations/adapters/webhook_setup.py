"""What an operator gives to the people who write the receiver."""

from destinations.adapters.webhook_config import PING, WebhookConfig
from destinations.hosts import EgressRefused, parse_url

_TEXT = """\
Each event is a POST to {path} with Content-Type: application/json. The body is {body}.
Answer with any 2XX status once the event is stored; anything else is tried again later.
The header webhook-id is the same on every try of an event: use it to drop repeats.

Verify with Terra's SDK (pip install terra-python):

    from terra.utils.verify_signature import verify_terra_webhook_signature

    verify_terra_webhook_signature(
        payload=request.body.decode(),
        signature_header=request.headers["terra-signature"],
        signing_secret=SIGNING_SECRET,  # the whole text, with whsec_
    )  # raises WebhookVerificationError

or with Standard Webhooks (pip install standardwebhooks; also for Node.js, Go, Ruby, Java, Rust, PHP):

    from standardwebhooks import Webhook

    Webhook(SIGNING_SECRET).verify(request.body, request.headers)  # raises WebhookVerificationError

Verify the raw body, before it is parsed. During a rotation of the secret both headers carry two
signatures, one of each secret, so the receiver can change over at any time. A signing secret of
your own that is not base64 is passed to Standard Webhooks as bytes: Webhook(SIGNING_SECRET.encode()).
A check of this destination sends a healthcheck event with the header X-Terra-Hub-Test: 1.
"""


def setup_text(config: WebhookConfig) -> str:
    """Return how to receive and verify what this destination sends."""
    body = (
        "an s3_payload event; GET its url for the event"
        if config.delivery == PING
        else "the exact bytes that Terra sent"
    )
    try:
        path = parse_url(config.url).path.partition("?")[0]
    except EgressRefused:
        path = "the URL"
    return _TEXT.format(path=path, body=body)
