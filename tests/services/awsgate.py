"""A gate before AWS emulators that take any signature: SigV4, clock, policies, and STS with external ids.

What passes is forwarded as it came. STS is answered by the gate itself. It counts calls, and gives
the answers that an emulator cannot be asked for: refusals, throttling, entries of a batch that fail.
Only the standard library. The form of errors is AWS's as it is remembered, not as it was recorded.
"""

import json
import socket
import ssl
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from tests.services.authority import Authority
from tests.services.iam import ACCOUNT, Directory, Identity, Refused, SessionKeys, denied
from tests.services.sigv4 import Claim, SignedRequest, Unsigned, claim_of, is_right

SKEW = timedelta(minutes=15)
JSON_TYPE = "application/x-amz-json-1.0"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}
# The legacy code (header x-amzn-query-error) -> the name in the JSON protocol.
_JSON_NAMES = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call: whose, what, and how many entries its batch had."""

    arn: str
    action: str
    entries: int
    form: Mapping[str, Any]


@dataclass
class Faults:
    """What goes wrong, by the test's wish."""

    # Action as called ("sqs:SendMessageBatch") -> errors for its next calls.
    refusals: dict[str, list[Refused]] = field(default_factory=dict)
    # The body of an entry -> {"Code": …, "SenderFault": …} for an entry that is not to be sent;
    # without a code the answer does not name it at all.
    fail_entry: Callable[[str], Mapping[str, Any] | None] = lambda body: None
    legacy_codes: bool = True  # errors in JSON carry x-amzn-query-error
    clock_ahead: timedelta = timedelta(0)
    seen_as: str = ""  # the host that the emulator takes itself for, and puts into URLs of queues


class Gate:
    """Listens on 127.0.0.1; use it as a context manager. ``upstream`` is (host, port).

    With an ``authority`` it speaks TLS, with a certificate of that CA.
    """

    def __init__(self, upstream: tuple[str, int] | None, authority: Authority | None = None) -> None:
        self.upstream = upstream
        self.directory = Directory()
        self.faults = Faults()
        self.calls: list[Call] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if authority:
            self._server.socket = _with_tls(self._server.socket, authority)
        self.host, self.port = "127.0.0.1", self._server.server_port
        self.url = f"{'https' if authority else 'http'}://{self.host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="AWS gate", daemon=True).start()

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def clear(self) -> None:
        """Forget calls and faults."""
        self.calls.clear()
        self.faults = Faults()

    def counted(self, action: str) -> list[Call]:
        """Return the calls of one action so far."""
        return [call for call in self.calls if call.action == action]

    def answer(self, request: SignedRequest, upstream: HTTPConnection | None) -> Answer:
        """Judge one request and answer it, or have it answered."""
        is_json = "x-amz-json" in request.headers.get("content-type", "")
        try:
            claim, caller = self._authenticated(request)
            form = _form(request, is_json)
            called = f"{claim.service}:{_operation(request, form)}"
            self.calls.append(Call(caller.arn, called, len(form.get("Entries", ())), form))
            if self.faults.refusals.get(called):
                raise self.faults.refusals[called].pop(0)
            self._authorize(caller, called.removesuffix("Batch"), claim, form)
            if claim.service == "sts":
                return self._sts(caller, called, form)
            return self._forwarded(request, form, upstream)
        except Refused as refused:
            return error(refused, is_json, self.faults.legacy_codes)

    def _authenticated(self, request: SignedRequest) -> tuple[Claim, Identity]:
        now = datetime.now(UTC) + self.faults.clock_ahead
        try:
            claim = claim_of(request)
        except Unsigned as unsigned:
            raise Refused(403, "MissingAuthenticationToken", str(unsigned)) from unsigned
        caller = self.directory.identity(claim.access_key, request.headers.get("x-amz-security-token", ""), now)
        if not is_right(request, claim, caller.secret):
            message = "The request signature we calculated does not match the signature you provided."
            raise Refused(403, "SignatureDoesNotMatch", message)
        if abs(now - claim.sent_at) > SKEW:
            raise Refused(403, "SignatureDoesNotMatch", f"Signature expired: {claim.sent_at} is not near {now}")
        return claim, caller

    def _authorize(self, caller: Identity, action: str, claim: Claim, form: Mapping[str, Any]) -> None:
        resource = _resource(claim, form)
        if action != "sts:GetCallerIdentity" and not caller.may(action, resource):
            raise denied(caller, action, resource)

    def _sts(self, caller: Identity, called: str, form: Mapping[str, Any]) -> Answer:
        if called == "sts:GetCallerIdentity":
            parts = f"<Arn>{caller.arn}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
            return _xml(200, _sts_result("GetCallerIdentity", parts))
        if called == "sts:AssumeRole":
            return _xml(200, _sts_result("AssumeRole", _assumed(self.directory.assume(caller, form), form)))
        raise Refused(400, "InvalidAction", f"Could not find operation {called}")

    def _forwarded(self, request: SignedRequest, form: Mapping[str, Any], upstream: HTTPConnection | None) -> Answer:
        if upstream is None:
            raise Refused(400, "InvalidAction", "This gate answers STS only.")
        failed = [self._failed(entry) for entry in form.get("Entries", ())]
        if not any(failed):
            return _sent(request, request.body, upstream, self.faults.seen_as)
        kept = [entry for entry, failure in zip(form["Entries"], failed, strict=True) if not failure]
        answer = _sent(request, json.dumps({**form, "Entries": kept}).encode(), upstream) if kept else None
        result = json.loads(answer.body) if answer else {"Successful": []}
        named = [failure for failure in failed if failure and "Code" in failure]
        result["Failed"] = [*result.get("Failed", []), *named]
        return Answer(200, json.dumps(result).encode(), {"content-type": JSON_TYPE})

    def _failed(self, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        failure = self.faults.fail_entry(entry.get("MessageBody", ""))
        return {"Message": "asked for by a test", **failure, "Id": entry["Id"]} if failure else None


def error(refused: Refused, is_json: bool, legacy: bool = True) -> Answer:
    """Return an error in the form of the request's protocol."""
    if not is_json:
        parts = f"<Type>Sender</Type><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
        text = f"<ErrorResponse xmlns='{_STS}'><Error>{parts}</Error><RequestId>{uuid.uuid4()}</RequestId>"
        return _xml(refused.status, f"{text}</ErrorResponse>")
    name = _JSON_NAMES.get(refused.code, refused.code)
    body = {"__type": f"com.amazon.coral.service#{name}", "message": refused.message}
    fault = "Sender" if refused.status < 500 else "Receiver"
    compatible = {"x-amzn-query-error": f"{refused.code};{fault}"} if legacy else {}
    return Answer(refused.status, json.dumps(body).encode(), {"content-type": JSON_TYPE, **compatible})


def _sent(request: SignedRequest, body: bytes, upstream: HTTPConnection, seen_as: str = "") -> Answer:
    headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
    headers |= {"host": seen_as} if seen_as else {}
    upstream.request(request.method, request.target, body, headers)
    answer = upstream.getresponse()
    kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
    return Answer(answer.status, answer.read(), kept)


def _form(request: SignedRequest, is_json: bool) -> Mapping[str, Any]:
    return json.loads(request.body or b"{}") if is_json else dict(parse_qsl(request.body.decode()))


def _operation(request: SignedRequest, form: Mapping[str, Any]) -> str:
    return request.headers.get("x-amz-target", "").rpartition(".")[2] or str(form.get("Action", "?"))


def _resource(claim: Claim, form: Mapping[str, Any]) -> str:
    if claim.service == "sts":
        return str(form.get("RoleArn", "*"))
    parts = urlsplit(form.get("QueueUrl", "")).path.strip("/").rpartition("/")
    account = parts[0] or form.get("QueueOwnerAWSAccountId") or ACCOUNT
    return f"arn:aws:{claim.service}:{claim.region}:{account}:{parts[2] or form.get('QueueName', '')}"


def _assumed(keys: SessionKeys, form: Mapping[str, Any]) -> str:
    values = {
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret,
        "SessionToken": keys.token,
        "Expiration": keys.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    held = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
    who = f"<AssumedRoleId>AROA:{form['RoleSessionName']}</AssumedRoleId><Arn>{escape(form['RoleArn'])}</Arn>"
    return f"<AssumedRoleUser>{who}</AssumedRoleUser><Credentials>{held}</Credentials>"


def _sts_result(operation: str, parts: str) -> str:
    result = f"<{operation}Result>{parts}</{operation}Result>"
    about = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    return f"<{operation}Response xmlns='{_STS}'>{result}{about}</{operation}Response>"


def _xml(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), {"content-type": "text/xml"})


def _with_tls(listener: socket.socket, authority: Authority) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # Python takes certificates from files only
        file.write(b"".join(authority.issue("127.0.0.1")))
        file.flush()
        context.load_cert_chain(file.name)
    # A handshake that fails must end its own connection, not the loop that accepts them.
    return context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection of a client, with one of its own to the upstream."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # an answer leaves in one piece

        def setup(self) -> None:
            super().setup()
            self.upstream = HTTPConnection(*gate.upstream, timeout=30) if gate.upstream else None

        def finish(self) -> None:
            super().finish()
            if self.upstream:
                self.upstream.close()

        def log_message(self, *_: Any) -> None:
            """Say nothing: the tests' output is for failures."""

        def handle(self) -> None:
            with suppress(ssl.SSLError, ConnectionError):  # the client went away, or does not trust the certificate
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = gate.answer(SignedRequest(self.command, self.path, headers, body), self.upstream)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    return Handler
