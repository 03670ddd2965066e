"""The steps of a GCS destination's check. The object that it writes is deleted again, whatever happens."""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from destinations.adapters.base import Result, Step, StepFailed, StepStatus, run_step
from destinations.adapters.gcs_api import PERMISSIONS, TOO_MANY, Bucket, json_of, stored_in
from destinations.adapters.gcs_config import ROLE, Endpoints, GcsConfig
from destinations.adapters.gcs_results import Judge
from destinations.adapters.gcs_token import Token, TokenFailed
from destinations.adapters.http_check import resolved
from destinations.adapters.least_rights import least_rights_step
from destinations.adapters.object_writes import ABSENT
from destinations.adapters.objects import EVENT_ID, check_key
from destinations.egress import EgressPolicy
from destinations.hosts import parse_url
from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError

_TLS_CODES = {"tls_failed", "tls_timeout"}
_NOT_AS_WRITTEN = "Look whether a function or a rule of the bucket changes objects."


class Check:
    """What one step learns and the next one needs."""

    def __init__(
        self, config: GcsConfig, endpoints: Endpoints, bucket: Bucket, token: Callable[[], Token], judge: Judge
    ) -> None:
        """Open no connection yet; ``token`` may raise ``ValueError``."""
        self._bucket, self._open_token, self._judge = bucket, token, judge
        self._endpoints = [parse_url(endpoints.token), parse_url(endpoints.api)]
        self._place = f"gs://{config.bucket}"
        # A key that nobody else has: what is left of it may be deleted without a look.
        self._key = f"{check_key(config.prefix).removesuffix('.json')}-{secrets.token_hex(8)}.json"
        self._bearer = ""
        self._body = b""
        self._held: list[object] = []
        self._tls_problem: HttpError | None = None
        self._left: str | None = None  # the generation that was written and not deleted yet; ABSENT: not known

    def steps(self, policy: EgressPolicy) -> Iterator[Step]:
        """Yield each step; stop after one that failed."""
        self._policy, self._client = policy, HttpClient(policy, concurrency=1)
        try:
            for name, action in self._actions():
                step = run_step(name, action)
                yield step
                if step.status is StepStatus.FAILED:
                    return
            yield from least_rights_step(self._more_than_needed, self._judge.account, f"{ROLE} on the bucket")
        finally:
            self._clean_what_is_left()
            self._client.close()

    def _actions(self) -> Sequence[tuple[str, Callable[[], str]]]:
        return (
            ("resolve", self._resolve),
            ("connect", self._connect),
            ("TLS", self._tls),
            ("authenticate", self._authenticate),
            ("permission", self._permission),
            ("write", self._write),
            ("read back", self._read_back),
            ("clean up", self._clean_up),
        )

    def _resolve(self) -> str:
        return " ".join(dict.fromkeys(resolved(endpoint.url, self._policy) for endpoint in self._endpoints))

    def _connect(self) -> str:
        """Ask both servers for anything, and keep what failed after the connection stood for its step."""
        for endpoint in self._endpoints:
            try:
                self._client.fetch(HttpRequest("GET", endpoint.url, timeout_s=self._bucket.timeout_s))
            except HttpError as error:
                if error.code not in _TLS_CODES:
                    raise StepFailed(f"{endpoint.host}: {error.detail}", error.hint, code=error.code) from error
                self._tls_problem = error
        return " and ".join(dict.fromkeys(endpoint.authority for endpoint in self._endpoints)) + " answered."

    def _tls(self) -> str:
        if self._tls_problem:
            raise StepFailed(self._tls_problem.detail, self._tls_problem.hint, code=self._tls_problem.code)
        if any(endpoint.scheme == "http" for endpoint in self._endpoints):
            hint = "Unset GCS_ENDPOINT and GCS_TOKEN_ENDPOINT, unless this is a test."
            raise StepFailed("A test server without TLS is set.", hint, StepStatus.WARNING)
        return "The certificates are right for their hosts."

    def _authenticate(self) -> str:
        try:
            self._bearer = self._open_token().bearer()
        except ValueError as unusable:
            raise StepFailed(str(unusable), "Upload the service account's key again.") from None
        except TokenFailed as failed:
            raise _failed(self._judge.without_token(failed.answer)) from None
        return f"{self._judge.account} has a token."

    def _permission(self) -> str:
        held = json_of(self._fetch(self._bucket.permissions(self._bearer))).get("permissions")
        self._held = held if isinstance(held, list) else []
        lacking = [one for one in PERMISSIONS if one not in self._held]
        if lacking:
            detail = f"{self._judge.account} lacks {', '.join(lacking)} on {self._place}."
            raise StepFailed(detail, self._judge.hint("forbidden"))
        return f"Objects can be made, read and overwritten, as with {ROLE}."

    def _more_than_needed(self) -> list[str]:
        return [f"{words} ({right})" for right, words in TOO_MANY.items() if right in self._held]

    def _write(self) -> str:
        self._body = json.dumps({"type": "healthcheck", "message": "A test of the Terra destination hub."}).encode()
        metadata = {EVENT_ID: "check", "checked-at": datetime.now(UTC).isoformat()}
        self._left = ABSENT  # from here on it may be there, also where no answer says so
        stored = stored_in(self._fetch(self._bucket.upload(self._bearer, self._key, metadata, self._body, ABSENT)))
        if stored is None:
            raise StepFailed("The upload was answered with something else than an object.", "Check GCS_ENDPOINT.")
        self._left = stored.version
        return f"Wrote {self._place}/{self._key}."

    def _read_back(self) -> str:
        if self._fetch(self._bucket.read(self._bearer, self._key)).body != self._body:
            raise StepFailed("The object holds other bytes than were written.", _NOT_AS_WRITTEN)
        return "The object holds what was written."

    def _clean_up(self) -> str:
        self._fetch(self._bucket.delete(self._bearer, self._key, self._left or ABSENT))
        self._left = None
        return "The object is deleted."

    def _clean_what_is_left(self) -> None:
        if self._left is not None:
            with suppress(StepFailed):
                self._clean_up()

    def _fetch(self, request: HttpRequest) -> HttpResponse:
        try:
            answer = self._client.fetch(request)
        except HttpError as error:
            raise _failed(self._judge.failed(error)) from None
        if not 200 <= answer.status < 300:
            raise _failed(self._judge.refused(answer))
        return answer


def _failed(result: Result) -> StepFailed:
    return StepFailed(f"{result.code}: {result.detail}", result.hint, code=result.code)
