"""The steps of an S3 destination's check: a test object is written, read back and removed."""

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from destinations.adapters.aws import ROLE
from destinations.adapters.aws_check import is_about_signing_in, trust_is_narrow
from destinations.adapters.aws_errors import Failure
from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.http_check import resolved
from destinations.adapters.least_rights import least_rights_step
from destinations.adapters.objects import check_key
from destinations.adapters.s3_config import CONDITIONAL, place_of
from destinations.adapters.s3_link import Link
from destinations.hosts import Endpoint, parse_url

_CLEAR = "Use https://, unless the store is on the hub's own network: health data goes out in clear."
_READ = "Allow s3:GetObject to keep a late, older event from overwriting a newer one, whatever worker has it."
_DELETE = "Allow s3:DeleteObject on this key. It is harmless to leave it there: each check overwrites it."
_ENOUGH = "s3:PutObject and s3:GetObject there, and s3:DeleteObject on the test object: the set-up has the policy"
_IGNORED = "Set overwrites to read_first: this store writes although something is there."

# The step that a code belongs to; every other code fails "write".
_CONNECT = {"egress_refused", "dns_failed", "connect_failed", "connect_timeout"}
_TLS = {"tls_failed"}
_PERMISSION = {
    "AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidBucketName", "PermanentRedirect",
    "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
}  # fmt: skip


def check_steps(link: Link) -> Iterator[Step]:
    """Yield each step; stop after one that failed."""
    check = _Check(link)
    for name, action in check.steps():
        step = run_step(name, action)
        yield step
        if step.status is StepStatus.FAILED:
            return
    yield from least_rights_step(check.more_than_needed, "The key", _ENOUGH)


class _Check:
    """What one step learns and the next one needs."""

    def __init__(self, link: Link) -> None:
        self._link, self._config = link, link.config
        self._key = check_key(link.config.prefix)
        self._body = json.dumps({"test": "of the Terra destination hub", "at": datetime.now(UTC).isoformat()}).encode()
        self._failure: Failure | None = None
        self._version = ""

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield names and actions, in the order in which they are taken."""
        problem = self._link.access.problem()
        if problem:
            yield "authenticate", lambda: self._fail(problem)
            return
        self._link.prepare()
        yield "resolve", self.resolve
        yield "connect", self.connect
        yield "TLS", self.tls
        yield "authenticate", self.authenticate
        if self._config.auth == ROLE:
            yield "external id", lambda: trust_is_narrow(self._link.access)
        yield "permission", lambda: self._passed_but(_PERMISSION, f"Objects may be put under {place_of(self._config)}.")
        yield "write", self.write
        if self._config.overwrites == CONDITIONAL:
            yield "precondition", self.precondition
        yield "read back", self.read_back
        yield "clean up", self.clean_up

    def resolve(self) -> str:
        return resolved(self._link.client.meta.endpoint_url, self._link.policy)

    def connect(self) -> str:
        """Write the test object, and keep what failed after the connection for the step that it belongs to."""
        try:
            answer = self._link.prepare().put_as_is(self._key, self._body, {})
            self._version = str(answer.get("VersionId") or "")
        except Exception as error:
            self._failure = self._link.failure(error)
        return self._passed_but(_CONNECT, f"Port {self._endpoint().port} answers.")

    def tls(self) -> str:
        said = self._passed_but(_TLS, "The certificate is right for the host.")
        if self._endpoint().scheme == "http":
            raise StepFailed("The endpoint is http://.", _CLEAR, StepStatus.WARNING)
        return said

    def authenticate(self) -> str:
        if self._failure and is_about_signing_in(self._failure.code):
            raise self._failure.step()
        return "The store takes the signature."

    def write(self) -> str:
        if self._failure:
            raise self._failure.step()
        return f"Wrote {self._place()}."

    def read_back(self) -> str:
        try:
            answer = self._link.client.get_object(**self._link.prepare().place, Key=self._key)
            same = answer["Body"].read(len(self._body) + 1) == self._body
        except Exception as error:
            failure = self._link.failure(error)
            status = StepStatus.WARNING if failure.code in ("AccessDenied", "http_403") else StepStatus.FAILED
            raise StepFailed(f"{failure.code}: {failure.detail}", _READ, status) from None
        if not same:
            self._remove()
            raise StepFailed("The object does not hold what was written.", "Look for a proxy that changes bodies.")
        return "The bytes came back as they were written."

    def precondition(self) -> str:
        """Write once more, only if nothing is there: something is, so the store has to refuse it."""
        try:
            self._link.prepare().put_as_is(self._key, self._body, {}, IfNoneMatch="*")
        except Exception as error:
            failure = self._link.failure(error)
            if failure.code in ("PreconditionFailed", "http_412"):
                return "The store refuses to overwrite where it is asked to."
            self._remove()
            raise failure.step() from None
        raise StepFailed("The store knows no If-None-Match.", _IGNORED, StepStatus.WARNING)

    def clean_up(self) -> str:
        failure = self._remove()
        if failure:
            raise StepFailed(f"{self._place()} is left behind: {failure.code}.", _DELETE, StepStatus.WARNING)
        kept = f" The bucket keeps versions: {self._version} stays as an old one." if self._version else ""
        return f"Removed the test object.{kept}"

    def more_than_needed(self) -> list[str]:
        """Return what the key may do beside writing, tried on names that nothing has."""
        place, nowhere = self._link.prepare().place, f"{self._key}.{secrets.token_hex(8)}"
        tries: dict[str, Callable[[], Any]] = {
            "list the bucket (s3:ListBucket)": lambda: self._link.client.list_objects_v2(
                **place, Prefix=nowhere, MaxKeys=1
            ),
        }
        if not self._version:  # where versions are kept, deleting what is not there leaves a mark
            delete = self._link.client.delete_object
            tries["delete objects (s3:DeleteObject)"] = lambda: delete(**place, Key=nowhere)
        return [right for right, action in tries.items() if _works(action)]

    def _remove(self) -> Failure | None:
        try:
            self._link.client.delete_object(**self._link.prepare().place, Key=self._key)
        except Exception as error:
            return self._link.failure(error)
        return None

    def _fail(self, failure: Failure) -> str:
        raise failure.step()

    def _passed_but(self, codes: set[str], said: str) -> str:
        """Return what was found, unless what failed has one of ``codes``."""
        if self._failure and (self._failure.code in codes or self._is_key(codes)):
            raise self._failure.step()
        return said

    def _is_key(self, codes: set[str]) -> bool:
        return codes is _PERMISSION and self._failure is not None and self._failure.code.startswith("KMS.")

    def _place(self) -> str:
        return f"s3://{self._config.bucket}/{self._key}"

    def _endpoint(self) -> Endpoint:
        return parse_url(self._link.client.meta.endpoint_url)


def _works(action: Callable[[], Any]) -> bool:
    try:
        action()
    except Exception:  # botocore's, urllib3's and the guard's: that it did not work is all that is asked
        return False
    return True
