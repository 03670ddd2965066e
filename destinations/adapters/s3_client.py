"""The client of a bucket, for every destination that puts objects into one."""

import re
from typing import Any

from destinations.adapters.aws import AwsAccess

AUTO, PATH, VIRTUAL = "auto", "path", "virtual"
BUCKET_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
_ADDRESS = re.compile(r"[0-9.]+")


def bucket_problem(name: str) -> str:
    """Return what is wrong with a bucket's name beyond its pattern; ``""`` where it is good."""
    return "Must be a bucket's name, without .. and not an address." if ".." in name or _ADDRESS.fullmatch(name) else ""


def bucket_client(access: AwsAccess, endpoint_url: str, addressing_style: str = AUTO) -> Any:
    """Return botocore's client of S3; call ``access.problem`` before."""
    if addressing_style == AUTO:
        addressing_style = PATH if endpoint_url else VIRTUAL
    client = access.client(
        "s3",
        endpoint_url=endpoint_url,
        signature_version="s3v4",  # botocore signs URLs in the older way otherwise, in the older regions
        s3={"addressing_style": addressing_style, "payload_signing_enabled": True},
        # The signature covers the body's SHA-256 already, which every store verifies; trailers
        # with a second checksum are what many of them cannot read.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client.meta.events.register_last("before-parameter-build.s3", _stay_here)
    client.meta.events.register_last("before-call.s3", _expect_nothing)
    return client


def _stay_here(context: Any, **_: Any) -> None:
    """Keep botocore from following a bucket into another region: the operator learns of it instead."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _expect_nothing(params: Any, **_: Any) -> None:
    """Send the body at once: waiting for "100 Continue" costs a round trip, or a second where none comes."""
    params["headers"].pop("Expect", None)
