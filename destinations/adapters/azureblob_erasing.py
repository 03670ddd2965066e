"""A container, as erasing needs it: the permissions l (list) and d (delete)."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace

from destinations.adapters.azureblob_api import Container, Signed
from destinations.adapters.azureblob_errors import NO_BLOB, Judge
from destinations.adapters.object_erasing import NotErased
from destinations.http import HttpClient, HttpResponse
from destinations.httperrors import HttpError

# Names hold no "<", which XML escapes, so these find each element without a parser of a stranger's XML.
_NAME = re.compile(r"<Blob><Name>([^<]{1,1024})</Name>")
_FOLDER = re.compile(r"<BlobPrefix><Name>([^<]{1,1024})</Name>")
_NEXT = re.compile(r"<NextMarker>([^<]{1,2048})</NextMarker>")
_RIGHTS = "To erase people from here, use a SAS token with the permissions rcwdl."
_REFUSED = {"AuthorizationPermissionMismatch", "InsufficientAccountPermissions", "AuthorizationFailure"}


class AzureShelf:
    """Asks over the hub's own client, one request after the other."""

    def __init__(self, client: HttpClient, container: Container, judge: Judge) -> None:
        """Erase in one container."""
        self._client, self._container, self._judge = client, container, judge

    def folders(self, under: str) -> Iterator[list[str]]:
        """Yield the folders directly under ``under``, page after page."""
        for page in self._pages(under, "/"):
            yield [html.unescape(name) for name in _FOLDER.findall(page)]

    def keys(self, start: str) -> Iterator[str]:
        """Yield every key that begins with ``start``."""
        for page in self._pages(start, ""):
            yield from (html.unescape(name) for name in _NAME.findall(page))

    def remove(self, key: str) -> bool:
        """Remove a blob with its snapshots; Azure does not say whether it is kept as a version or soft-deleted."""
        answer = self._fetch(self._container.delete(key))
        if answer.status != 202 and self._judge.read(answer).code != NO_BLOB:
            raise self._refused(answer)
        return False

    def _pages(self, start: str, delimiter: str) -> Iterator[str]:
        marker = ""
        while True:
            answer = self._fetch(self._container.list(start, delimiter, marker))
            if answer.status != 200:
                raise self._refused(answer)
            page = answer.body.decode(errors="replace")
            yield page
            found = _NEXT.search(page)
            if not found:
                return
            marker = html.unescape(found[1])

    def _fetch(self, signed: Signed) -> HttpResponse:
        try:
            return self._client.fetch(signed.request)
        except HttpError as error:
            raise NotErased(self._judge.failed(error, signed.secret)) from None

    def _refused(self, answer: HttpResponse) -> NotErased:
        result = self._judge.refused(answer)
        return NotErased(replace(result, hint=_RIGHTS) if result.code in _REFUSED else result)
