"""Webhook: each event is posted to a URL, signed for Terra's SDKs and for Standard Webhooks."""

import base64
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import unquote, unquote_plus

from destinations.adapters.base import (
    Adapter,
    Effect,
    Feed,
    Limits,
    Message,
    Outcome,
    Outcomes,
    Result,
    Step,
    deliver_by_stream,
)
from destinations.adapters.testing import test_message
from destinations.adapters.webhook_check import TEST_HEADER, check_steps
from destinations.adapters.webhook_config import (
    BASIC,
    BEARER,
    HEADER,
    PING,
    PUSH,
    WebhookConfig,
    WebhookCredentials,
    credential_problems,
    problems,
)
from destinations.adapters.webhook_results import error_result, result_of, snapshot
from destinations.adapters.webhook_sealed import stored_pairs, with_query
from destinations.adapters.webhook_setup import setup_text
from destinations.egress import EgressPolicy
from destinations.hosts import EgressRefused, parse_url
from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError
from destinations.scrubbing import Scrubber
from destinations.signatures import standard_key, standard_signature, terra_signature

MASK = "****"
_CONSTANT = {"Content-Type": "application/json"}
# Headers of the received request that travel on, as Terra spells them.
HANDED_ON = {
    "terra-reference": "terra-reference",
    "x-terra-trace-id": "X-Terra-Trace-Id",
    "x-terra-ordering-timestamp": "X-Terra-Ordering-Timestamp",
    "dev-id": "dev-id",
}
# Header names, and parts of a URL's query, whose values are taken for secrets.
_SENSITIVE = re.compile(r"auth|key|token|secret|passw|pwd|cookie|session|cred|jwt|sig", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_WORD = 7  # longer values in a URL's query are taken for secrets, too


class WebhookAdapter(Adapter[WebhookConfig, WebhookCredentials]):
    """Posts many events at once over kept connections, and hands results out as they come."""

    type = "webhook"
    label = "Webhook"
    setup_label = "Receiver"
    icon = "webhook"
    summary = "A signed POST of each event to your URL, as Terra itself would send it."
    on_repeat = "The receiver gets it again, with the same webhook-id."
    config_spec = WebhookConfig
    credentials_spec = WebhookCredentials
    host_fields: ClassVar[frozenset[str]] = frozenset({"url"})

    def __init__(
        self,
        config: WebhookConfig,
        credentials: WebhookCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        self._signer = Signer(credentials)
        secret = stored_pairs(credentials.secret_headers) | _authorization(config, credentials)
        self._fixed = [f"{name}: {value}" for name, value in {**_CONSTANT, **config.headers, **secret}.items()]
        self._shown_fixed = {**_CONSTANT, **_shown(config.headers), **dict.fromkeys(secret, MASK)}
        self._url = with_query(config.url, stored_pairs(credentials.secret_query))
        self._shown_url = masked_url(self._url)
        self._scrubber = Scrubber(_secrets_of(config, credentials, secret))
        self._unusable = _unusable(config, credentials)
        self._client: HttpClient | None = None

    def target(self) -> str:
        """Return the URL, with the values of its query masked."""
        return self._shown_url

    def wants_payload_url(self) -> bool:
        """Tell whether messages need their link: a ping carries it."""
        return self.config.delivery == PING

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Post a batch; return one result per message, in order."""
        return deliver_by_stream(self.stream, batch)

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Post what ``feed`` has, up to ``limits.concurrency`` at once; a slow one holds up no other."""
        if self._unusable:
            yield from self._refuse(feed, self._unusable)
            return
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        for group in self._client.stream(lambda most: map(self._request, feed.take(most))):
            yield [(request.tag[0], self._result(request, answer)) for request, answer in group]

    def check(self) -> Iterator[Step]:
        """Post a health check that is marked as a test, and say how far it came."""
        client = HttpClient(self.policy)
        try:
            yield from check_steps(self.config, self.policy, self._unusable, lambda: self._post_test(client))
        finally:
            client.close()

    @classmethod
    def setup(cls, config: WebhookConfig) -> str:
        """Return how the receiver verifies what it gets."""
        return setup_text(config)

    @classmethod
    def validate(cls, config: WebhookConfig) -> Mapping[str, str]:
        """Refuse URLs that are ambiguous, and headers that would break or forge a request."""
        return dict(problems(config))

    @classmethod
    def validate_credentials(cls, config: WebhookConfig, credentials: WebhookCredentials) -> Mapping[str, str]:
        """Refuse a header that would be sent twice."""
        return dict(credential_problems(config, credentials))

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()
            self._client = None

    def _refuse(self, feed: Feed, result: Result) -> Iterator[Outcomes]:
        while batch := feed.take(self.max_batch):
            yield [(message, result) for message in batch]

    def _request(self, message: Message) -> HttpRequest:
        body = message.body if self.config.delivery == PUSH else ping_body(message)
        headers = self._signer.headers(message.event_id, body)
        for name, as_spelled in HANDED_ON.items():
            if value := message.headers.get(name):
                headers[as_spelled] = value if value.isprintable() else _CONTROL.sub(" ", value)
        lines = self._fixed + [f"{name}: {value}" for name, value in headers.items()]
        tag = message, headers
        return HttpRequest("POST", self._url, lines, body, self.limits.timeout_s, self.config.ca_certificate, tag)

    def _result(self, request: HttpRequest, answer: HttpResponse | HttpError) -> Result:
        shown = {"method": "POST", "url": self._shown_url, "headers": {**self._shown_fixed, **request.tag[1]}}
        if isinstance(answer, HttpError):
            return error_result(answer, shown, self._scrubber)
        return result_of(answer, shown, snapshot(answer, self._scrubber))

    def _post_test(self, client: HttpClient) -> HttpResponse:
        request = self._request(test_message())
        request.headers = [*request.headers, f"{TEST_HEADER}: 1"]
        return client.fetch(request)


class Signer:
    """Makes the headers that sign a request; during a rotation, with both secrets."""

    def __init__(self, credentials: WebhookCredentials) -> None:
        """Prepare the keys of ``credentials``."""
        secrets = [credentials.signing_secret]
        self._current = _keys(secrets)
        self._both = _keys([*secrets, credentials.previous_signing_secret])
        self._both_until = _unix_time(credentials.previous_valid_until) if credentials.previous_signing_secret else 0.0

    def headers(self, message_id: str, body: bytes) -> dict[str, str]:
        """Return the headers of Terra's scheme and of Standard Webhooks, as of now."""
        now = time.time()
        terra_keys, standard_keys = self._both if now < self._both_until else self._current
        timestamp = str(int(now))
        return {
            "terra-signature": terra_signature(terra_keys, timestamp, body),
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": standard_signature(standard_keys, message_id, timestamp, body),
        }


def _keys(secrets: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
    return [secret.encode() for secret in secrets], [standard_key(secret) for secret in secrets]


def _unix_time(iso: str) -> float:
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def ping_body(message: Message) -> bytes:
    """Return the ``s3_payload`` event that stands for a message: a link in place of the payload.

    The link is the hub's own and works until it is revoked, so ``expires_in`` is null.
    """
    ping = {
        "type": "s3_payload",
        "status": "success",
        "url": message.payload_url,
        "expires_in": None,
        "payload_reference": message.event_id,
        "event_type": message.type,
        "user_id": message.user_id,
        "reference_id": message.reference_id,
    }
    return json.dumps(ping, separators=(",", ":")).encode()


def masked_url(url: str) -> str:
    """Return ``url`` with stars for the values of its query, which often hold tokens."""
    try:
        endpoint = parse_url(url)
    except EgressRefused:
        return MASK  # whatever it is, it may hold a password
    path, mark, query = endpoint.path.partition("?")
    masked = "&".join(
        f"{name}={MASK}" if same else MASK for name, same, _ in (p.partition("=") for p in query.split("&"))
    )
    return f"{endpoint.scheme}://{endpoint.authority}{path}{mark}{masked if mark else ''}"


def _authorization(config: WebhookConfig, credentials: WebhookCredentials) -> dict[str, str]:
    if config.auth == BASIC:
        pair = f"{config.username}:{credentials.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if config.auth == BEARER:
        return {"Authorization": f"Bearer {credentials.token}"}
    return {config.auth_header: credentials.token} if config.auth == HEADER else {}


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if _SENSITIVE.search(name) else value for name, value in headers.items()}


def _secrets_of(config: WebhookConfig, credentials: WebhookCredentials, sent: Mapping[str, str]) -> Iterator[str]:
    yield from (
        credentials.signing_secret,
        credentials.previous_signing_secret,
        credentials.password,
        credentials.token,
    )
    yield from (value.rpartition(" ")[2] for value in sent.values())
    yield from stored_pairs(credentials.secret_headers).values()
    yield from _as_sent(stored_pairs(credentials.secret_query).values())
    yield from (value for name, value in config.headers.items() if _SENSITIVE.search(name))
    for pair in config.url.partition("?")[2].split("&"):
        name, _, value = pair.rpartition("=")
        if len(value) > _LONGEST_WORD or _SENSITIVE.search(name):
            yield value


def _as_sent(values: Iterable[str]) -> Iterator[str]:
    """Yield values of a URL's query as they are in it, and as a receiver reads them."""
    for value in values:
        yield from (value, unquote(value), unquote_plus(value))


def _unusable(config: WebhookConfig, credentials: WebhookCredentials) -> Result | None:
    """Return what every message gets where a secret is missing: nothing is sent without it."""
    if not credentials.signing_secret:
        missing = "signing secret"
    elif config.auth == BASIC and not credentials.password:
        missing = "password"
    elif config.auth in (BEARER, HEADER) and not credentials.token:
        missing = "token or key"
    else:
        return None
    detail, hint = f"The destination has no {missing}.", f"Edit the destination and fill in: {missing}."
    return Result(Outcome.RETRY, "credentials_missing", detail, hint, effect=Effect.FAILURE)
