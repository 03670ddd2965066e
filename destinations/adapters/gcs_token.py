"""A service account's access token, fetched through the hub's own HTTP client and kept until it is nearly over.

google-auth signs the request (RFC 7523) and reads the answer; whatever it sends passes the egress policy.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from google.auth import exceptions, transport
from google.oauth2 import service_account

from destinations.adapters.gcs_config import Endpoints
from destinations.adapters.gcs_key import stored_key
from destinations.egress import EgressPolicy
from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError

# https://cloud.google.com/storage/docs/oauth-scopes; what the account may do is up to its roles.
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
TIMEOUT_S = 10.0  # of one request for a token: uploads that are under way wait meanwhile
RENEW_S = 300.0  # a token is renewed so long before its end, or at a tenth of its life where that is less
RENEW_AGAIN_S = 60.0  # between tries to renew one that is still good
FAILED_S = 5.0  # where there is none, a failure stands for so long: every message would meet it
UNKNOWN_LIFE_S = 300.0  # of a token whose life was not told
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")


class TokenFailed(Exception):
    """No token came. ``answer`` is what the token endpoint said, or the error where it said nothing."""

    def __init__(self, answer: HttpResponse | HttpError) -> None:
        """Keep the answer, which may echo what was sent: it is no part of the text."""
        super().__init__("The token endpoint gave no token.")
        self.answer = answer


class Token:
    """The token of one service account. One thread uses it at a time."""

    def __init__(self, key: str, endpoints: Endpoints, policy: EgressPolicy, timeout_s: float) -> None:
        """Take the key's stored JSON; send nothing yet. Raises ``ValueError`` for a key that is none."""
        # The assertion's audience stays Google's, also where a test lets another server give the tokens.
        info = {**stored_key(key).as_info(), "token_uri": endpoints.token}
        try:
            self._credentials = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        except ValueError:
            raise ValueError("The stored key of the service account cannot be read.") from None
        self._request = _Request(endpoints.token, policy, min(timeout_s, TIMEOUT_S))
        self._ask_at = self._ends_at = 0.0
        self._failed: TokenFailed | None = None

    def secrets(self) -> list[str]:
        """Return what was sent and received last, which is as good as the key for an hour."""
        return [text for text in (self._request.assertion, self._credentials.token) if text]

    def bearer(self) -> str:
        """Return a token that is good now; raise ``TokenFailed`` where there is none."""
        if monotonic() >= self._ask_at:
            self._ask()
        if self._failed and monotonic() >= self._ends_at:
            raise self._failed
        return str(self._credentials.token)

    def refused(self, bearer: str) -> None:
        """Forget a token that an API refused; ``bearer`` then fetches another one."""
        if bearer == self._credentials.token:
            self._ask_at = self._ends_at = 0.0

    def _ask(self) -> None:
        try:
            self._credentials.refresh(self._request)
            self._keep()
        except TokenFailed as failed:
            self._fail(failed)
        except (exceptions.GoogleAuthError, ValueError, TypeError, ArithmeticError, RecursionError):
            # Not the exception's text: it may hold the answer, and the answer a token.
            hint = "Check GCS_TOKEN_ENDPOINT, if it is set; else try again."
            self._fail(TokenFailed(HttpError("bad_response", "The token endpoint's answer holds no token.", hint)))

    def _keep(self) -> None:
        if not _TOKEN.fullmatch(str(self._credentials.token)):
            self._credentials.token = None
            raise ValueError("Not a token.")
        ends = self._credentials.expiry
        life = (ends - datetime.now(UTC).replace(tzinfo=None)).total_seconds() if ends else UNKNOWN_LIFE_S
        now = monotonic()
        self._failed, self._ends_at = None, now + life
        self._ask_at = now + life - min(RENEW_S, life / 10)

    def _fail(self, failed: TokenFailed) -> None:
        now = monotonic()
        self._failed = failed
        self._ask_at = now + (RENEW_AGAIN_S if now < self._ends_at else FAILED_S)


class _Request(transport.Request):
    """google-auth's way to the network: one POST to the token endpoint, and nothing else."""

    def __init__(self, url: str, policy: EgressPolicy, timeout_s: float) -> None:
        self._url, self._policy, self._timeout_s = url, policy, timeout_s
        self.assertion = ""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> "_Response":
        """Send it once. Raises ``TokenFailed``, so that google-auth does not try again by itself and wait."""
        if url != self._url:
            raise TokenFailed(HttpError("egress_refused", "google-auth asked for another address."))
        self.assertion = parse_qs((body or b"").decode()).get("assertion", [""])[0]
        lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
        client = HttpClient(self._policy, concurrency=1)
        try:
            answer = client.fetch(HttpRequest(method, url, lines, body, timeout or self._timeout_s))
        except HttpError as error:
            raise TokenFailed(error) from None
        finally:
            client.close()
        if answer.status != 200:
            raise TokenFailed(answer)
        return _Response(answer)


class _Response(transport.Response):
    """An answer as google-auth reads it."""

    # Over the abstract properties of the base.
    status: int = 0
    headers: Mapping[str, str] = MappingProxyType({})
    data: bytes = b""

    def __init__(self, answer: HttpResponse) -> None:
        self.status, self.headers, self.data = answer.status, answer.headers, answer.body
