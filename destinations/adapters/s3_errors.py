"""What the errors of S3 mean for a delivery, beside those that all of AWS shares.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from destinations.adapters.aws_errors import Blame, Failure, Verdict, failure_of

_D, _M, _E = Blame.DESTINATION, Blame.MOMENT, Blame.EVENT
_BUCKET = "Check bucket and region, or make the bucket."
_RIGHTS = (
    "Allow s3:PutObject on {arn}. Look also for a policy of the bucket, of the key or of the organization that "
    "denies it, and whether bucket and expected_bucket_owner are right: a stranger's bucket answers the same. "
    "Or the bucket does not exist: without s3:ListBucket AWS does not tell."
)
_REGION = "Set region to the bucket's own: aws s3api get-bucket-location --bucket {bucket}"
_KEY = "Check kms_key_id, and let the user or role call kms:GenerateDataKey and kms:Decrypt on it."
_PRECONDITION = "The store knows no conditional writes: set overwrites to read_first."
_FULL = "Make room on the store, or raise its quota."
_NOT_S3 = "Check endpoint_url: what answers there is no S3, or it does not take this request."

TABLE: Mapping[str, Verdict] = {
    "NoSuchBucket": Verdict(_D, "the bucket does not exist", _BUCKET),
    "http_404": Verdict(_D, "the bucket does not exist", _BUCKET),
    "InvalidBucketName": Verdict(_D, "the bucket's name is none", _BUCKET),
    "AccessDenied": Verdict(_D, "a permission is missing", _RIGHTS),
    "http_403": Verdict(_D, "a permission is missing", _RIGHTS),
    "AllAccessDisabled": Verdict(_D, "access to the bucket is switched off", "Look at the bucket in the AWS console."),
    "PermanentRedirect": Verdict(_D, "the bucket is in another region", _REGION),
    "TemporaryRedirect": Verdict(_M, "the bucket's new name is not known everywhere yet", "Wait a while."),
    "AuthorizationHeaderMalformed": Verdict(_D, "the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": Verdict(_D, "the bucket is in another region", _REGION),
    "http_301": Verdict(_D, "the bucket is in another region", _REGION),
    "InvalidStorageClass": Verdict(_D, "the store has no such storage class", "Change storage_class."),
    "KMS.NotFoundException": Verdict(_D, "the KMS key is not there", _KEY),
    "KMS.DisabledException": Verdict(_D, "the KMS key is disabled", "Enable the key in the AWS console."),
    "KMS.KMSInvalidStateException": Verdict(_D, "the KMS key cannot be used now", "Look at the key's state."),
    "KMS.InvalidKeyUsageException": Verdict(_D, "the KMS key is none for encryption", _KEY),
    "KMS.KeyUnavailableException": Verdict(_M, "the KMS key is not available now", "Nothing to do unless it stays."),
    "ServerSideEncryptionConfigurationNotFoundError": Verdict(_D, "the store cannot encrypt", "Change encryption."),
    "EntityTooLarge": Verdict(
        _E,
        "the store takes no object as large as this",
        "Raise its limit, then resend. (AWS takes 5 GB at once, which no event of the hub reaches.)",
    ),
    "MaxMessageLengthExceeded": Verdict(_E, "the store takes no object as large as this", "Raise its limit."),
    "KeyTooLongError": Verdict(_E, "the store takes no key as long as this", "Shorten prefix."),
    "MetadataTooLarge": Verdict(_E, "the store takes less metadata", "Raise its limit, then resend."),
    "BadDigest": Verdict(_M, "the bytes that arrived are not those that were sent", "Look for a proxy between."),
    "XAmzContentSHA256Mismatch": Verdict(
        _M, "the bytes that arrived are not those that were sent", "Look for a proxy."
    ),
    "IncompleteBody": Verdict(_M, "not all bytes arrived", "Look at the network between."),
    "NotImplemented": Verdict(_D, "the store does not know this request", _PRECONDITION),
    "InvalidArgument": Verdict(_D, "the store does not take the request", _NOT_S3),
    "InvalidRequest": Verdict(_D, "the store does not take the request", _NOT_S3),
    "MethodNotAllowed": Verdict(_D, "the store does not take the request", _NOT_S3),
    "QuotaExceeded": Verdict(_D, "the store is full", _FULL),
    "InsufficientStorage": Verdict(_D, "the store is full", _FULL),
    "http_507": Verdict(_D, "the store is full", _FULL),
    "OperationAborted": Verdict(_M, "another change of the bucket is under way", "Nothing to do unless it stays."),
    "PreconditionFailed": Verdict(_M, "others write the same key at the same time"),
    "ConditionalRequestConflict": Verdict(_M, "others write the same key at the same time"),
}


def s3_failure(error: Exception, names: Mapping[str, Any], clean: Any) -> Failure:
    """Return what an error means; ``names`` has ``bucket``, ``arn`` and those of ``AwsAccess.names``."""
    failure = failure_of(error, TABLE, names, clean)
    region = _region_in(error)
    return replace(failure, detail=f"{failure.detail} The bucket is in {region}.") if region else failure


def _region_in(error: Exception) -> str:
    """Return the region that S3 says the bucket is in, where that is what went wrong."""
    response = getattr(error, "response", None) or {}
    known = response.get("Error", {})
    if known.get("Code") not in ("PermanentRedirect", "AuthorizationHeaderMalformed", "301"):
        return ""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = str(known.get("Region") or headers.get("x-amz-bucket-region") or "")
    return region if region.replace("-", "").isalnum() and len(region) < 64 else ""
