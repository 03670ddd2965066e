"""What the errors of SQS mean for a delivery, beyond those that all of AWS shares.

Codes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from destinations.adapters.aws_errors import Blame, Failure, Verdict, bad_response, failure_of
from destinations.adapters.base import Effect, Outcome
from destinations.adapters.sqs_message import LARGEST_MESSAGE

DENIED = "AccessDenied"
QUEUE_MISSING = "QueueDoesNotExist"
SESSION_ENDED = frozenset({"ExpiredToken", "ExpiredTokenException"})
TOO_LARGE = "message_too_large"
_TOO_LONG = re.compile(r"shorter than|too long|exceed", re.IGNORECASE)
_RAISE_LIMIT = "Raise the queue's MaximumMessageSize (at most 1,048,576 bytes), then resend."

_E, _D, _M, _B = Blame.EVENT, Blame.DESTINATION, Blame.MOMENT, Blame.BUSY
_MISSING = Verdict(
    _D,
    "the queue does not exist",
    "Check queue and region, or make the queue {queue} again: its name is free 60 s after it was deleted.",
)
_KMS = Verdict(
    _D,
    "the key that the queue is encrypted with cannot be used",
    "Allow kms:GenerateDataKey and kms:Decrypt on the queue's KMS key, and see that the key is enabled.",
)
_RIGHTS = Verdict(
    _D,
    "a permission is missing",
    "Allow sqs:SendMessage and sqs:GetQueueUrl on {arn}, as the set-up text has it, and look for a Deny in the "
    "queue's own policy.",
)
_SECRET = Verdict(_D, "the signature is not taken", "Check secret_access_key, and the clock of the hub's machine.")
_UNKNOWN = Verdict(_M, "the queue did not take the message")

TABLE: Mapping[str, Verdict] = {
    DENIED: _RIGHTS,
    "AccessDeniedException": _RIGHTS,
    "InvalidSignatureException": _SECRET,
    "SignatureDoesNotMatch": _SECRET,
    "NonExistentQueue": _MISSING,
    QUEUE_MISSING: _MISSING,
    "QueueDeletedRecently": _MISSING,
    "InvalidAddress": Verdict(_D, "the queue's URL is not taken", "Check queue and region."),
    "InvalidSecurity": Verdict(_D, "the queue asks for TLS", "Use https:// in endpoint_url."),
    "InvalidMessageContents": Verdict(_E, "the message holds a character that queues refuse"),
    "InvalidParameterValue": Verdict(_E, "the message is not taken"),
    "BatchRequestTooLong": Verdict(_E, "the message is larger than the queue takes", _RAISE_LIMIT),
    "OverLimit": Verdict(_B, "the queue is full of messages in flight", "Let its readers catch up."),
    "UnsupportedOperation": Verdict(_D, "the server does not know the operation", "Check endpoint_url."),
    "KmsThrottled": Verdict(_B, "the queue's KMS key is asked too often", "Raise its data key reuse period."),
    **dict.fromkeys(
        ("KmsAccessDenied", "KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired"),
        _KMS,
    ),
}
# Where one message can be the reason why a whole request is refused.
PER_MESSAGE = frozenset({"InvalidMessageContents", "InvalidParameterValue", "BatchRequestTooLong", TOO_LARGE})


def request_failure(error: Exception, names: Mapping[str, Any], clean: Any) -> Failure:
    """Return what an error of a whole request means; ``names`` has ``queue``, ``arn`` and what roles need."""
    return _spelled(failure_of(error, TABLE, names, clean))


def entry_failure(failed: Mapping[str, Any] | None, names: Mapping[str, Any], clean: Any) -> Failure:
    """Return why one message of a request was not taken, from its entry in ``Failed``; ``None``: it had no answer."""
    from botocore.exceptions import ClientError

    from destinations.adapters.aws_errors import COMMON, code_of

    if failed is None:
        return replace(bad_response(), detail="The answer names the message neither as taken nor as refused.")
    error = ClientError({"Error": {"Code": failed.get("Code"), "Message": failed.get("Message")}}, "SendMessageBatch")
    known = {**COMMON, **TABLE}
    table = TABLE if code_of(error) in known else {code_of(error): _UNKNOWN}
    return _spelled(failure_of(error, table, names, clean))


def too_large(size: int, limit: int | None) -> Failure:
    """Return what becomes of a message of ``size`` bytes that the queue does not take."""
    detail = f"The message has {size:,} bytes; the queue takes {limit or LARGEST_MESSAGE:,}."
    return Failure(TOO_LARGE, detail, _RAISE_LIMIT, Outcome.REJECTED, Effect.NONE)


def _spelled(failure: Failure) -> Failure:
    """Return a failure under one name where AWS has two, or one name for many things."""
    if failure.code == "NonExistentQueue":
        return replace(failure, code=QUEUE_MISSING)
    if failure.code == "AccessDeniedException":
        return replace(failure, code=DENIED)
    if failure.code == "InvalidSignatureException":
        return replace(failure, code="SignatureDoesNotMatch")
    is_too_long = failure.code == "InvalidParameterValue" and _TOO_LONG.search(failure.detail)
    if is_too_long or failure.code == "BatchRequestTooLong":
        return replace(failure, code=TOO_LARGE, hint=_RAISE_LIMIT)
    return failure
