"""A container, as ``object_writes`` writes to it: what is asked, and what the answers say."""

from destinations.adapters.azureblob_api import Container, found_in
from destinations.adapters.azureblob_errors import NO_BLOB, NOT_WRITTEN, Judge
from destinations.adapters.base import Result
from destinations.adapters.object_writes import Found, Said, Store, Upload, Written
from destinations.http import HttpRequest, HttpResponse
from destinations.httperrors import HttpError


class ContainerStore(Store):
    """One container, with one key or token."""

    contended_code = "ConditionNotMet"

    def __init__(self, container: Container, judge: Judge) -> None:
        """Write into ``container``."""
        self.place = {"container": container.url}
        self._container, self._judge = container, judge

    def request(self, upload: Upload) -> HttpRequest:
        """Look, or write if the version that is expected is there."""
        target = upload.object
        if upload.version is None:
            signed = self._container.look(target.key)
        else:
            signed = self._container.write(target.key, target.metadata, upload.message.body, upload.version)
        upload.secret = signed.secret
        return signed.request

    def read(self, upload: Upload, answer: HttpResponse) -> Found | Written | Said | Result:
        """Read an answer."""
        is_look = upload.version is None
        if answer.status == (200 if is_look else 201) and (found := found_in(answer)):
            return found if is_look else _written(answer, found)
        code = self._judge.read(answer).code
        if is_look and code == NO_BLOB:
            return Said.MISSING
        return Said.TAKEN if not is_look and code in NOT_WRITTEN else self._judge.refused(answer, upload.secret)

    def failed(self, upload: Upload, error: HttpError) -> Result:
        """Judge a request without an answer."""
        return self._judge.failed(error, upload.secret)


def _written(answer: HttpResponse, found: Found) -> Written:
    # By its id Microsoft's support finds a request.
    return Written({"status": answer.status, "etag": found.version, "request_id": answer.headers["x-ms-request-id"]})
