"""What Azure's answers, or the lack of one, mean for a delivery and for its destination.

Codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and
https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from destinations.adapters import http_verdicts
from destinations.adapters.base import Effect, Outcome
from destinations.adapters.http_verdicts import LONGEST_DETAIL, Refusal, Verdict
from destinations.http import HttpResponse

BUSY_S = 5.0  # how long a destination is left alone that says that it is too busy
_CODE = re.compile(r"[A-Za-z0-9]{2,64}")

_REJECTED, _NONE = Outcome.REJECTED, Effect.NONE
_SECRET = "Check account, and send the account's key or a new SAS token as the set-up text makes it."  # noqa: S105
_NEW_TOKEN = "Make a new SAS token as the set-up text says, and put it in."  # noqa: S105
_CLOCK = "Set the clock of the hub's host (NTP, timedatectl): Azure allows 15 minutes."
_RIGHTS = "Make a SAS token with the permissions rcw, or give them to its access policy; the set-up text does."
_NETWORK = (
    "Check that the container exists and that the SAS token is of this one; else let the account's network rules admit "
    "the hub's address: az storage account network-rule add."
)
_OTHER_TOKEN = "Make the SAS token without what keeps it to another address, protocol or service."  # noqa: S105
_ALLOW_KEYS = (
    "Run: az storage account update --name {account} --allow-shared-key-access true; or use a SAS token of a user "
    "delegation, which lasts seven days."
)
_MAKE = "Check container, or run: az storage container create --account-name {account} --name {container}"
_PORTAL = "Look at the account {account} in the Azure portal."
_SLOWER = "Lower the destination's concurrency, if it stays so: an account takes so many requests and bytes a second."
_LATER = "Azure's side failed; see https://azure.status.microsoft if it stays so."
_UNLOCK = "Let the container's blobs be overwritten (immutability policy, legal hold, lease, tier), then resend."
_REPORT = "Please report this: the request is made by the hub."
_ENDPOINT = "Check endpoint_url: what answers there is no Blob Storage, or something stands before it."
_LARGER = "Raise the limit of what stands between (Azure takes 5,000 MiB), then resend."
_PROXY = "Look for a proxy that changes bodies."

# By Azure's code, or by the status where there is none.
VERDICTS: Mapping[str, Verdict] = {
    "AuthenticationFailed": Verdict("the key or the token is wrong", _SECRET),
    "InvalidAuthenticationInfo": Verdict("the key or the token is wrong", _SECRET),
    "NoAuthenticationInformation": Verdict("the key or the token is missing", _SECRET),
    "AuthorizationFailure": Verdict("the token is of another container, or network rules keep the hub out", _NETWORK),
    "AuthorizationPermissionMismatch": Verdict("the token does not allow this", _RIGHTS),
    "UnauthorizedBlobOverwrite": Verdict("the token does not allow to overwrite", _RIGHTS),
    "InsufficientAccountPermissions": Verdict("the token does not allow this", _RIGHTS),
    "AuthorizationSourceIPMismatch": Verdict("the token is for another address than the hub's", _OTHER_TOKEN),
    "AuthorizationProtocolMismatch": Verdict("the token is for https only", "Use https:// in endpoint_url."),
    "AuthorizationServiceMismatch": Verdict("the token is for another service", _OTHER_TOKEN),
    "AuthorizationResourceTypeMismatch": Verdict("the token is not for blobs", _OTHER_TOKEN),
    "KeyBasedAuthenticationNotPermitted": Verdict("the account lets no key in", _ALLOW_KEYS),
    "AccountIsDisabled": Verdict("the account is disabled", _PORTAL),
    "AccountBeingCreated": Verdict("the account is being made", "Wait a while."),
    "ContainerNotFound": Verdict("the container does not exist", _MAKE),
    "ContainerDisabled": Verdict("the container is disabled", _PORTAL),
    "ContainerBeingDeleted": Verdict("the container is being deleted", _MAKE),
    "ResourceNotFound": Verdict("the account or the container does not exist", _MAKE),
    "InvalidResourceName": Verdict("Azure does not take the name", "Change prefix, then resend.", _REJECTED, _NONE),
    "InvalidUri": Verdict("Azure does not take the name", "Change prefix, then resend.", _REJECTED, _NONE),
    "OutOfRangeInput": Verdict("Azure does not take the name", "Change prefix, then resend.", _REJECTED, _NONE),
    "RequestBodyTooLarge": Verdict("the event is larger than the store takes at once", _LARGER, _REJECTED, _NONE),
    "RequestEntityTooLarge": Verdict("the event is larger than the store takes at once", _LARGER, _REJECTED, _NONE),
    "MetadataTooLarge": Verdict("the metadata is larger than the store takes", _REPORT, _REJECTED, _NONE),
    "InvalidMetadata": Verdict("the store does not take the metadata", _REPORT, _REJECTED, _NONE),
    "BlobImmutableDueToPolicy": Verdict("the blob that is there must not be overwritten", _UNLOCK, _REJECTED, _NONE),
    "BlobArchived": Verdict("the blob that is there is archived", _UNLOCK, _REJECTED, _NONE),
    "InvalidBlobType": Verdict("the blob that is there is of another type", "Delete it.", _REJECTED, _NONE),
    "LeaseIdMissing": Verdict("somebody holds a lease on the blob or the container", _UNLOCK, effect=_NONE),
    "ConditionNotMet": Verdict("others write the same blob at the same time", "", effect=_NONE),
    "TargetConditionNotMet": Verdict("others write the same blob at the same time", "", effect=_NONE),
    "BlobAlreadyExists": Verdict("others write the same blob at the same time", "", effect=_NONE),
    "Md5Mismatch": Verdict("other bytes arrived than were sent", _PROXY, effect=_NONE),
    "ServerBusy": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "TooManyRequests": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "OperationTimedOut": Verdict("Azure did not get done in time; it may have written", _LATER),
    "InternalError": Verdict("Azure failed", _LATER),
    "UnsupportedHttpVerb": Verdict("what answers does not take the request", _ENDPOINT),
    "http_400": Verdict("the request is taken for malformed", _ENDPOINT),
    "http_401": Verdict("the key or the token is refused", _SECRET),
    "http_403": Verdict("the hub may not do this", _RIGHTS),
    "http_404": Verdict("there is nothing like that", _ENDPOINT),
    "http_413": Verdict("the event is larger than the store takes at once", _LARGER, _REJECTED, _NONE),
    "http_429": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "http_503": Verdict("too many requests at once, or Azure is down", _SLOWER, wait_s=BUSY_S),
    "http_5xx": Verdict("Azure failed", _LATER),
}
# A write was not done, because what is there is not what it expects. If-None-Match: * is answered 409, If-Match 412:
# https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
NOT_WRITTEN = frozenset({"ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists", "BlobNotFound"})
NO_BLOB = "BlobNotFound"
UNKNOWN = Verdict("something else than it should", _ENDPOINT)
# What is said beside AuthenticationFailed, in lower case.
EXPIRED = Verdict("the SAS token has ended, or has not begun", _NEW_TOKEN)
CLOCK = Verdict("the clocks differ", _CLOCK)
_AUTHENTICATION = {"AuthenticationFailed", "AuthorizationFailure"}
_TIME_FRAME, _DATE_HEADER = "specified time frame", "date header"
_NOT_AUTHENTICATED = "failed to authenticate"  # Azurite says this with AuthorizationFailure


class Judge(http_verdicts.Judge):
    """Judges the answers of Blob Storage; names: account and container."""

    service = "Azure"
    expires: datetime | None = None  # the end of the SAS token, where it says so itself

    def read(self, answer: HttpResponse) -> Refusal:
        """Read an answer of Azure, or of a server before it. The code stands in a header, also after a HEAD."""
        code = answer.headers.get("x-ms-error-code", "")
        text = answer.body.decode(errors="replace")
        said = " ".join(filter(None, (_element(text, name) for name in ("Message", "AuthenticationErrorDetail"))))
        if _CODE.fullmatch(code):
            return Refusal(answer.status, code, said)
        return Refusal(answer.status, f"http_{answer.status}", said or text[:LONGEST_DETAIL])

    def verdict(self, refusal: Refusal) -> Verdict:
        """Return the line of the table: by what is said with the code, the code, or the status."""
        if refusal.code in _AUTHENTICATION and (verdict := self._of_signing(refusal.message.lower())):
            return verdict
        status = "http_5xx" if refusal.status >= 500 else f"http_{refusal.status}"
        return VERDICTS.get(refusal.code) or VERDICTS.get(f"http_{refusal.status}") or VERDICTS.get(status, UNKNOWN)

    def _of_signing(self, message: str) -> Verdict | None:
        if _DATE_HEADER in message:
            return CLOCK
        over = self.expires is not None and self.expires <= datetime.now(UTC)
        if over or _TIME_FRAME in message:
            return EXPIRED
        return VERDICTS["AuthenticationFailed"] if _NOT_AUTHENTICATED in message else None


def _element(text: str, name: str) -> str:
    """Return what an element of Azure's XML says, without the request's id, which is in the answer's headers."""
    # No parser reads a stranger's XML, and no pattern looks for an end that may be far away, over and over.
    inner, end, _ = text.partition(f"<{name}>")[2].partition(f"</{name}>")
    return html.unescape(inner.partition("RequestId:")[0]).strip() if end else ""
