"""The steps of an Azure Blob destination's check.

A token with the least rights may not delete, so what a check wrote would stay. Each right is therefore tried
on a blob that is not there, in a way that changes nothing; a blob is written only where it can be deleted again.
"""

import json
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from destinations.adapters.azureblob_api import Container, Signed, found_in
from destinations.adapters.azureblob_config import (
    SAS_TOKEN,
    AzureBlobConfig,
    AzureBlobCredentials,
    missing_secret,
)
from destinations.adapters.azureblob_errors import NO_BLOB, NOT_WRITTEN, VERDICTS, Judge
from destinations.adapters.azureblob_secrets import expiry_of, rights_lacking, rights_to_spare
from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.http_check import connection_steps, resolve_step
from destinations.adapters.least_rights import least_rights_step
from destinations.adapters.object_writes import ABSENT
from destinations.adapters.objects import EVENT_ID, check_key
from destinations.egress import EgressPolicy
from destinations.hosts import parse_url
from destinations.http import HttpClient, HttpResponse
from destinations.httperrors import HttpError

NO_VERSION = '"0x0"'  # an ETag that no blob has
SOON = timedelta(days=14)
# The step that a code belongs to.
_PERMISSION = {
    "AuthorizationPermissionMismatch", "InsufficientAccountPermissions", "ContainerNotFound", "ContainerDisabled",
    "ContainerBeingDeleted", "ResourceNotFound",
}  # fmt: skip
_REFUSED_RIGHT = {"AuthorizationPermissionMismatch", "InsufficientAccountPermissions"}
_ENOUGH = "a SAS token of this container with the permissions rcw: the set-up makes one"
_NOT_AS_WRITTEN = "Look for a proxy that changes bodies."
_IGNORES = "Use a store that keeps to If-Match: on this one an older event would overwrite a newer one."


class Check:
    """What one step learns and the next one needs."""

    def __init__(
        self, config: AzureBlobConfig, credentials: AzureBlobCredentials, container: Container, judge: Judge
    ) -> None:
        """Open no connection yet."""
        self._config, self._container, self._judge = config, container, judge
        self._token = credentials.sas_token if config.auth == SAS_TOKEN else ""
        # A name that no other blob has: what is left of it may be deleted without a look.
        self._key = f"{check_key(config.prefix).removesuffix('.json')}-{secrets.token_hex(8)}.json"
        self._body = json.dumps({"type": "healthcheck", "message": "A test of the Terra destination hub."}).encode()
        self._may_delete = self._written = False
        self._sent: list[str] = []  # signatures, which an answer may echo

    def steps(self, policy: EgressPolicy) -> Iterator[Step]:
        """Yield each step; stop after one that failed."""
        self._client = HttpClient(policy, concurrency=1)
        try:
            for step in self._all(policy):
                yield step
                if step.status is StepStatus.FAILED:
                    return
        finally:
            if self._written:
                with suppress(StepFailed):
                    self._clean_up()
            self._client.close()

    def _all(self, policy: EgressPolicy) -> Iterator[Step]:
        yield resolve_step(self._container.url, policy)
        if not self._container.usable:
            detail, hint = missing_secret(self._config)
            yield Step("authenticate", StepStatus.FAILED, detail, hint)
            return
        first = self._answer(self._container.read(self._key))
        yield from connection_steps(first, parse_url(self._container.url), "authenticate")
        if isinstance(first, HttpResponse):
            yield run_step("authenticate", lambda: self._authenticate(first))
            yield run_step("permission", lambda: self._permission(first))
            yield from self._with_a_blob() if self._may_delete else self._without()
            yield from least_rights_step(self._more_than_needed, self._opener(), _ENOUGH)

    def _with_a_blob(self) -> Iterator[Step]:
        yield run_step("write", self._write)
        yield run_step("read back", self._read_back)
        yield run_step("clean up", self._clean_up)

    def _opener(self) -> str:
        return "The SAS token" if self._config.auth == SAS_TOKEN else "The account key"

    def _more_than_needed(self) -> list[str]:
        if self._config.auth != SAS_TOKEN:
            return ["do anything in the whole account"]
        spare = rights_to_spare(self._token)
        return spare if spare or not self._may_delete else ["delete blobs (d)"]

    def _without(self) -> Iterator[Step]:
        detail = "Nothing was written: the token may not delete, and what a check wrote would stay. Nor need it."
        yield Step("write", StepStatus.SKIPPED, detail)

    def _authenticate(self, answer: HttpResponse) -> str:
        code = self._judge.read(answer).code
        if code != NO_BLOB and code not in _PERMISSION:
            raise self._failed(answer)
        expires = expiry_of(self._token)
        if expires and expires - datetime.now(UTC) < SOON:
            hint = "Make a new SAS token as the set-up text says, before this one ends."
            raise StepFailed(f"The SAS token ends at {expires:%Y-%m-%d %H:%M} UTC.", hint, StepStatus.WARNING)
        return "Azure takes the signature." + (f" It ends at {expires:%Y-%m-%d %H:%M} UTC." if expires else "")

    def _permission(self, first: HttpResponse) -> str:
        """Say which rights there are: to read as the first answer said, the others by changing nothing."""
        if self._judge.read(first).code not in {NO_BLOB} | _REFUSED_RIGHT:
            raise self._failed(first)
        lacking = set(rights_lacking(self._token))
        if self._judge.read(first).code in _REFUSED_RIGHT:
            lacking.add("read (r)")
        if not self._may(self._container.write(self._key, {}, self._body, NO_VERSION), NOT_WRITTEN):
            lacking.add("write (w)")
        if lacking:
            hint = VERDICTS["AuthorizationPermissionMismatch"].hint.format_map(self._judge.names)
            raise StepFailed(f"The token lacks {' and '.join(sorted(lacking))} on {self._container.url}.", hint)
        self._may_delete = self._may(self._container.delete(self._key), {NO_BLOB})
        return "Blobs can be made, read and overwritten." + (" They can be deleted, too." if self._may_delete else "")

    def _may(self, signed: Signed, expected: Collection[str]) -> bool:
        """Make a request that changes nothing: one of the codes ``expected`` says so, where it is allowed."""
        answer = self._answer(signed)
        code = "" if isinstance(answer, HttpError) else self._judge.read(answer).code
        if code in expected:
            return True
        if code in _REFUSED_RIGHT:
            return False
        if isinstance(answer, HttpResponse) and answer.status == 201:
            self._written = True
            raise StepFailed("The store wrote a blob although the condition did not hold.", _IGNORES)
        raise self._failed(answer)

    def _write(self) -> str:
        self._written = True  # from here on it may be there, also where no answer says so
        answer = self._fetch(self._container.write(self._key, {EVENT_ID: "check"}, self._body, ABSENT))
        if found_in(answer) is None:
            raise StepFailed("The write was answered with something else than a blob's version.", "Check endpoint_url.")
        return f"Wrote {self._place()}."

    def _read_back(self) -> str:
        if self._fetch(self._container.read(self._key)).body != self._body:
            raise StepFailed("The blob holds other bytes than were written.", _NOT_AS_WRITTEN)
        return "The blob holds what was written."

    def _clean_up(self) -> str:
        self._written = False
        try:
            self._fetch(self._container.delete(self._key))
        except StepFailed as failed:
            raise StepFailed(f"{self._place()} stays: {failed.detail}", failed.hint, StepStatus.WARNING) from None
        return "The blob is deleted."

    def _fetch(self, signed: Signed) -> HttpResponse:
        answer = self._answer(signed)
        if isinstance(answer, HttpError) or not 200 <= answer.status < 300:
            raise self._failed(answer)
        return answer

    def _answer(self, signed: Signed) -> HttpResponse | HttpError:
        self._sent.append(signed.secret)
        try:
            return self._client.fetch(signed.request)
        except HttpError as error:
            return error

    def _failed(self, answer: HttpResponse | HttpError) -> StepFailed:
        result = self._judge.answered(answer, *self._sent)
        return StepFailed(f"{result.code}: {result.detail}", result.hint, code=result.code)

    def _place(self) -> str:
        return f"{self._container.url}/{self._key}"
