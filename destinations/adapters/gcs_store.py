"""A bucket of Google's, as ``object_writes`` writes to it: what is asked, and what the answers say."""

from destinations.adapters.base import Result
from destinations.adapters.gcs_api import Bucket, stored_in
from destinations.adapters.gcs_results import Judge
from destinations.adapters.gcs_token import Token, TokenFailed
from destinations.adapters.object_writes import CannotAsk, Found, Said, Store, Upload, Written
from destinations.http import HttpRequest, HttpResponse
from destinations.httperrors import HttpError


class GcsStore(Store):
    """One bucket, with one account's token."""

    contended_code = "conditionNotMet"

    def __init__(self, name: str, bucket: Bucket, token: Token, judge: Judge) -> None:
        """Write into ``bucket``, whose name is ``name``."""
        self.place = {"bucket": name}
        self._bucket, self._token, self._judge = bucket, token, judge

    def request(self, upload: Upload) -> HttpRequest:
        """Look, or write if the generation that is expected is there."""
        try:
            bearer = upload.secret = self._token.bearer()
        except TokenFailed as failed:
            raise CannotAsk(self._judge.without_token(failed.answer)) from None
        target = upload.object
        if upload.version is None:
            return self._bucket.look(bearer, target.key)
        return self._bucket.upload(bearer, target.key, target.metadata, upload.message.body, upload.version)

    def read(self, upload: Upload, answer: HttpResponse) -> Found | Written | Said | Result:
        """Read an answer; a token that is refused is fetched anew once."""
        if answer.status == 401 and not upload.renewed:
            upload.renewed = True
            self._token.refused(upload.secret)
            return Said.AGAIN
        return self._read_look(answer) if upload.version is None else self._read_write(answer)

    def _read_look(self, answer: HttpResponse) -> Found | Said | Result:
        if answer.status == 404:
            return Said.MISSING
        stored = stored_in(answer) if answer.status == 200 else None
        return stored or self._judge.refused(answer)

    def _read_write(self, answer: HttpResponse) -> Written | Said | Result:
        if answer.status == 200 and (stored := stored_in(answer)):
            return Written({"status": 200, "generation": stored.version})
        if answer.status == 412 and self._judge.read(answer).code != "orgPolicyConstraintFailed":
            return Said.TAKEN
        return self._judge.refused(answer)

    def failed(self, upload: Upload, error: HttpError) -> Result:
        """Judge a request without an answer."""
        return self._judge.failed(error)
