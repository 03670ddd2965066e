"""Pages go out compressed: a list of fifty rows is 280 kB of markup, which gzip makes a tenth of."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressPages(GZipMiddleware):
    """Compresses whole HTML pages only: a download keeps its length, and a stream is not held up.

    Against BREACH: the token of each form is masked anew in each answer, Django adds a random length, session cookies
    are SameSite=Lax, and no page that shows a secret shows anything that its address says.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the answer, compressed where it is a page."""
        if response.streaming or not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)
