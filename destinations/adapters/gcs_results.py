"""What Google's answers, or the lack of one, mean for a delivery and for its destination.

The storage API's codes: https://cloud.google.com/storage/docs/json_api/v1/status-codes; those of the
token endpoint: https://developers.google.com/identity/protocols/oauth2/service-account#error-codes
"""

import re
from collections.abc import Mapping

from destinations.adapters import http_verdicts
from destinations.adapters.base import Effect, Outcome, Result
from destinations.adapters.gcs_api import json_of
from destinations.adapters.http_verdicts import LONGEST_DETAIL, Refusal, Verdict
from destinations.http import HttpResponse
from destinations.httperrors import HttpError

BUSY_S = 5.0  # how long a destination is left alone that says that it is too busy, and not for how long
_WORD = re.compile(r"[A-Za-z_]{2,48}")
_REJECTED, _NONE = Outcome.REJECTED, Effect.NONE
_GRANT = (
    "Run: gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=serviceAccount:{account} "
    "--role=roles/storage.objectAdmin"
)
_NEW_KEY = "Make a new key for {account} and upload it: gcloud iam service-accounts keys create."
_BILLING = "Let the bucket's project have a billing account that is in order."
_SLOWER = "Lower the destination's concurrency, if it stays so. Google raises a bucket's rate by itself within minutes."
_LATER = "Google's side failed; see https://status.cloud.google.com if it stays so."
_UNLOCK = "Let the bucket's objects be overwritten (retention policy, holds), then resend."
_REPORT = "Please report this: the request is made by the hub."
_PAYS = "Turn Requester Pays off for gs://{bucket}."
_ACCOUNT = "Look whether {account} still exists and is enabled. " + _NEW_KEY
_MAKE = "Check the bucket's name, or run: gcloud storage buckets create gs://{bucket}"
_POLICY = "Let the organization's policy admit {account}."
_MALFORMED = "Look for a proxy before Google that answers by itself or changes requests; else please report this."
_NO_TOKEN = "Look at the answer in the attempt: Google's sign-in, or a proxy before it, gave it."  # noqa: S105

# By the reason that an answer of the storage API gives, or by its status where the reason is none of these. Events
# are given up for what is known to be their own fault only: the next destination's trouble would take all of them.
VERDICTS: Mapping[str, Verdict] = {
    "invalid": Verdict("Google does not take the object as it is", _REPORT, _REJECTED, _NONE),
    "required": Verdict("the bucket lets the requester pay", _PAYS),
    "userProjectMissing": Verdict("the bucket lets the requester pay", _PAYS),
    "authError": Verdict("Google refuses the access token", _ACCOUNT),
    "forbidden": Verdict("{account} may not do this", _GRANT),
    "accountDisabled": Verdict("the bucket's project is disabled", _BILLING),
    "userProjectAccountProblem": Verdict("the bucket's project has a billing problem", _BILLING),
    "rateLimitExceeded": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "userRateLimitExceeded": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "quotaExceeded": Verdict(
        "a quota of the project is used up", "Raise the quota of the bucket's project.", wait_s=BUSY_S
    ),
    "retentionPolicyNotMet": Verdict("the object that is there must not be overwritten yet", _UNLOCK, _REJECTED, _NONE),
    "objectUnderActiveHold": Verdict("the object that is there is on hold", _UNLOCK, _REJECTED, _NONE),
    "notFound": Verdict("the bucket does not exist", _MAKE),
    "orgPolicyConstraintFailed": Verdict("the bucket's organization forbids this", _POLICY),
    "uploadTooLarge": Verdict("the event is larger than Google takes at once", "", _REJECTED, _NONE),
    "backendError": Verdict("Google failed", _LATER, wait_s=BUSY_S),
    "internalError": Verdict("Google failed", _LATER),
    "http_400": Verdict("the request is taken for malformed", _MALFORMED),
    "http_401": Verdict("Google refuses the access token", _ACCOUNT),
    "http_403": Verdict("{account} may not do this", _GRANT),
    "http_404": Verdict("the bucket does not exist", _MAKE),
    "http_408": Verdict("the upload took too long", "Raise the destination's timeout."),
    "http_412": Verdict("the bucket's organization forbids this", _POLICY),
    "http_413": Verdict("the event is larger than Google takes at once", "", _REJECTED, _NONE),
    "http_429": Verdict("too many requests at once", _SLOWER, wait_s=BUSY_S),
    "http_503": Verdict("too many requests at once, or Google is down", _LATER, wait_s=BUSY_S),
    "http_5xx": Verdict("Google failed", _LATER),
}
# By the error that the token endpoint names. None of them is an event's fault, whatever the status is: there
# is no token for any event. What is not listed, from the endpoint or from a proxy before it, is ``NO_TOKEN``.
TOKEN_VERDICTS: Mapping[str, Verdict] = {
    "invalid_grant": Verdict("Google does not take the key", _NEW_KEY),
    "invalid_client": Verdict("Google does not know the account", _ACCOUNT),
    "unauthorized_client": Verdict("{account} may not have tokens", "Enable the account. " + _NEW_KEY),
    "access_denied": Verdict("{account} may not have tokens", _ACCOUNT),
    "org_internal": Verdict("the account's organization forbids this", _POLICY),
    "admin_policy_enforced": Verdict("the account's organization forbids this", _POLICY),
    "invalid_scope": Verdict("Google does not know the scope", _REPORT),
    "invalid_request": Verdict("the request for a token is taken for malformed", _MALFORMED),
}
NO_TOKEN = Verdict("the token endpoint gave no token", _NO_TOKEN)
UNKNOWN = Verdict("Google answered with something else than it should", "Look at the answer in the attempt.")
# What the description of an invalid_grant says, in lower case, and what to do then.
_GRANTS: tuple[tuple[str, Verdict], ...] = (
    ("signature", Verdict("the key was deleted, or is another account's", _NEW_KEY)),
    ("timeframe", Verdict("the clocks differ", "Set the clock of the hub's host; let NTP keep it (timedatectl).")),
    (
        "account not found",
        Verdict("{account} was deleted or disabled", "Enable it, or make another account and its key."),
    ),
)
_SAME_OBJECT = "object mutation"  # a limit of one object (1 write a second), no trouble of the destination's
_DIGEST = re.compile(r"md5|crc32c|hash", re.IGNORECASE)
_ONE_OBJECT = Verdict("events of this object come faster than once a second", "", effect=Effect.NONE)
_BROKEN = Verdict("other bytes arrived than were sent", "The next try sends them again.", effect=Effect.NONE)


class Judge(http_verdicts.Judge):
    """Judges the answers of the storage API; names: bucket and account."""

    service = "Google"

    @property
    def account(self) -> str:
        """Return the service account's address."""
        return self.names["account"]

    def hint(self, code: str) -> str:
        """Return what to do about a code of the table."""
        return VERDICTS[code].hint.format_map(self.names)

    def read(self, answer: HttpResponse) -> Refusal:
        """Read an answer of either API, or of a server before it."""
        value = json_of(answer)
        error = value.get("error")
        if isinstance(error, str):  # the token endpoint, RFC 6749 section 5.2
            return _refusal(answer.status, error, value.get("error_description"))
        if isinstance(error, dict):
            first = error.get("errors")
            first = first[0] if isinstance(first, list) and first and isinstance(first[0], dict) else {}
            return _refusal(answer.status, first.get("reason"), error.get("message"))
        return _refusal(answer.status, "", "" if value else answer.body[:LONGEST_DETAIL].decode(errors="replace"))

    def verdict(self, refusal: Refusal) -> Verdict:
        """Return the line of the table: by what is said, the code, or the status."""
        message, known = refusal.message.lower(), refusal.code in VERDICTS
        if refusal.status == 400 and (not known or refusal.code == "invalid") and _DIGEST.search(message):
            return _BROKEN
        if _SAME_OBJECT in message and refusal.status == 429:
            return _ONE_OBJECT
        codes = (refusal.code, f"http_{refusal.status}", "http_5xx" if refusal.status >= 500 else "")
        return next((VERDICTS[code] for code in codes if code in VERDICTS), UNKNOWN)

    def without_token(self, answer: HttpResponse | HttpError) -> Result:
        """Judge what the token endpoint said in place of a token."""
        return _TokenJudge(self.names, self._secrets).answered(answer)


class _TokenJudge(Judge):
    """Judges the answers of the token endpoint: always a failure of the destination, never of an event."""

    def verdict(self, refusal: Refusal) -> Verdict:
        """Return the line of the table: by what is said, or the code."""
        if refusal.code == "invalid_grant":
            message = refusal.message.lower()
            return next((verdict for said, verdict in _GRANTS if said in message), TOKEN_VERDICTS["invalid_grant"])
        return TOKEN_VERDICTS.get(refusal.code, NO_TOKEN)


def _refusal(status: int, reason: object, message: object) -> Refusal:
    """Return it with the reason as its code where Google gave one, else with ``http_<status>``."""
    code = reason if isinstance(reason, str) and _WORD.fullmatch(reason) else f"http_{status}"
    return Refusal(status, code, message if isinstance(message, str) else "")
