"""A bucket of Google's, as erasing needs it: storage.objects.list and storage.objects.delete."""

from collections.abc import Iterator, Mapping
from typing import Any

from destinations.adapters.gcs_api import Bucket, json_of
from destinations.adapters.gcs_results import Judge
from destinations.adapters.gcs_token import Token, TokenFailed
from destinations.adapters.object_erasing import NotErased
from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError


class GcsShelf:
    """Asks over the hub's own client, one request after the other."""

    def __init__(self, client: HttpClient, bucket: Bucket, token: Token, judge: Judge) -> None:
        """Erase in one bucket."""
        self._client, self._bucket, self._token, self._judge = client, bucket, token, judge

    def folders(self, under: str) -> Iterator[list[str]]:
        """Yield the folders directly under ``under``, page after page."""
        for page in self._pages(under, "/"):
            yield [one for one in page.get("prefixes") or () if isinstance(one, str)]

    def keys(self, start: str) -> Iterator[str]:
        """Yield every key that begins with ``start``."""
        for page in self._pages(start, ""):
            yield from (str(one.get("name")) for one in page.get("items") or () if isinstance(one, dict))

    def remove(self, key: str) -> bool:
        """Remove the live generation; whether the bucket keeps older ones, Google does not say with it."""
        answer = self._ask(lambda bearer: self._bucket.delete(bearer, key, ""))
        if answer.status not in (200, 204, 404):  # 404: gone meanwhile
            raise NotErased(self._judge.refused(answer))
        return False

    def _pages(self, start: str, delimiter: str) -> Iterator[Mapping[str, Any]]:
        further = ""
        while True:
            page = self._page(start, further, delimiter)
            yield page
            further = str(page.get("nextPageToken") or "")
            if not further:
                return

    def _page(self, start: str, further: str, delimiter: str) -> Mapping[str, Any]:
        answer = self._ask(lambda bearer: self._bucket.list(bearer, start, further, delimiter))
        if answer.status != 200:
            raise NotErased(self._judge.refused(answer))
        return json_of(answer)

    def _ask(self, request: Any) -> HttpResponse:
        """Send a request; a token that is refused is fetched anew once."""
        for last in (False, True):
            bearer = self._bearer()
            answer = self._fetch(request(bearer))
            if answer.status != 401 or last:
                return answer
            self._token.refused(bearer)
        raise AssertionError  # not reached: the last round returns

    def _bearer(self) -> str:
        try:
            return self._token.bearer()
        except TokenFailed as failed:
            raise NotErased(self._judge.without_token(failed.answer)) from None

    def _fetch(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._client.fetch(request)
        except HttpError as error:
            raise NotErased(self._judge.failed(error)) from None
