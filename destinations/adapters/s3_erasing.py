"""An S3 bucket, as erasing needs it: s3:ListBucket, and s3:DeleteObject on all keys."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from destinations.adapters.object_erasing import NotErased
from destinations.adapters.s3_link import Link

_GRANT = "To erase people from here, allow s3:ListBucket on the bucket and s3:DeleteObject on {arn}."


class S3Shelf:
    """Asks over botocore's client; each request has the time of a try."""

    def __init__(self, link: Link) -> None:
        """Use a link that is prepared."""
        self._link, self._place = link, link.prepare().place

    def folders(self, under: str) -> Iterator[list[str]]:
        """Yield the folders directly under ``under``, page after page of a thousand names."""
        for page in self._pages(Prefix=under, Delimiter="/"):
            yield [one["Prefix"] for one in page.get("CommonPrefixes", ())]

    def keys(self, start: str) -> Iterator[str]:
        """Yield every key that begins with ``start``."""
        for page in self._pages(Prefix=start):
            yield from (one["Key"] for one in page.get("Contents", ()))

    def remove(self, key: str) -> bool:
        """Remove an object; in a bucket with versions that leaves a mark, and the older version."""
        answer = self._ask("delete_object", Key=key)
        return bool(answer.get("DeleteMarker") or answer.get("VersionId"))

    def _pages(self, **about: str) -> Iterator[Any]:
        further: dict[str, str] = {}
        while True:
            answer = self._ask("list_objects_v2", **about, **further)
            yield answer
            if not answer.get("IsTruncated"):
                return
            further = {"ContinuationToken": answer["NextContinuationToken"]}

    def _ask(self, operation: str, **about: Any) -> Any:
        from destinations.adapters.aws_guard import within

        try:
            with within(self._link.limits.timeout_s):
                return getattr(self._link.client, operation)(**self._place, **about)
        except Exception as error:
            result = self._link.failure(error).result()
            hint = _GRANT.format(arn=self._link.arn) if result.code in ("AccessDenied", "http_403") else result.hint
            raise NotErased(replace(result, hint=hint)) from None
