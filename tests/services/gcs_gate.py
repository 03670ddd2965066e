"""What fake-gcs-server lacks of Google: a token endpoint, and a gate before the API that asks for its tokens.

``POST /token`` verifies a service account's signed assertion (RFC 7523) and gives a token. Everything
else is the storage API: without a token that was given here it answers 401, beyond the account's role
403; a declared MD5 is compared, ``testPermissions`` is answered, and errors get the shape and the
reasons that Google documents (https://cloud.google.com/storage/docs/json_api/v1/status-codes). Texts
of the token endpoint are those that Google is known to send. What passes goes on to the emulator.
"""

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = "https://www.googleapis.com/auth/devstorage."
LONGEST_S = 3600
SKEW_S = 300
TIMEFRAME = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)
# https://cloud.google.com/storage/docs/access-control/iam-roles, as far as objects go
ROLES = {
    "objectAdmin": {"storage.objects.create", "storage.objects.get", "storage.objects.delete", "storage.objects.list"},
    "objectViewer": {"storage.objects.get", "storage.objects.list"},
    "objectCreator": {"storage.objects.create"},
    "admin": {"storage.objects.create", "storage.objects.get", "storage.objects.delete", "storage.buckets.delete"},
    "none": set(),
}
REASONS = {400: "invalid", 401: "authError", 403: "forbidden", 404: "notFound", 412: "conditionNotMet"}
NEEDS = {"POST": "storage.objects.create", "GET": "storage.objects.get", "DELETE": "storage.objects.delete"}


@dataclass
class Account:
    """A service account: its role on every bucket, and the public halves of its keys by their ids."""

    email: str
    role: str
    keys: dict[str, RSAPublicKey] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to the next requests whose ``METHOD path`` has ``where`` in it."""

    where: str
    times: int
    action: Callable[["_Handler"], bool]  # whether the request is answered by it


class Refused(Exception):
    """A request that the token endpoint does not grant."""


class Gate:
    """The server, on a thread of this process; use it as a context manager."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, str] = {}
        self.token_life_s = LONGEST_S
        self.clock_ahead_s = 0
        self.log: list[str] = []  # "POST /token 200", in the order of the answers
        self.scopes: list[str] = []  # that tokens were asked for
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Forget accounts, tokens, faults and the log."""
        with self._lock:
            self.accounts, self.tokens, self.log, self.scopes, self._faults = {}, {}, [], [], []
            self.token_life_s, self.clock_ahead_s = LONGEST_S, 0

    def revoke_tokens(self) -> None:
        """Let no token that was given so far be taken any more."""
        self.tokens = {}

    def count(self, text: str) -> int:
        """Return how many requests have ``text`` in their line of the log."""
        return sum(text in line for line in self.log)

    # --- faults ------------------------------------------------------------------------------
    def answer(self, status: int, body: Any, where: str = " /", times: int = 1, **headers: str) -> None:
        """Answer the next requests like this, a ``str`` body as it is and anything else as JSON."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()

        def act(handler: "_Handler") -> bool:
            handler.reply(status, data, **headers)
            return True

        self._faults.append(Fault(where, times, act))

    def echo(self, where: str, times: int = 1) -> None:
        """Answer the next requests with an error that repeats their headers and the beginning of their body."""

        def act(handler: "_Handler") -> bool:
            said = f"{handler.headers} {handler.body[:3000].decode(errors='replace')}"
            of_tokens = {"error": "invalid_grant", "error_description": said}
            answer = of_tokens if "/token" in handler.path else error_body(403, "forbidden", said)
            handler.reply(403, json.dumps(answer).encode())
            return True

        self._faults.append(Fault(where, times, act))

    def fail(
        self, status: int, reason: str, message: str, where: str = "/upload/", times: int = 1, **more: str
    ) -> None:
        """Answer the next requests with an error of the storage API."""
        self.answer(status, error_body(status, reason, message), where, times, **more)

    def lose_answer(self, where: str = "/upload/", times: int = 1) -> None:
        """Do what the next requests ask for, and close the connection in place of an answer."""

        def act(handler: "_Handler") -> bool:
            handler.lost = True
            return False

        self._faults.append(Fault(where, times, act))

    def corrupt(self, old: bytes, new: bytes, where: str = "/upload/", times: int = 1) -> None:
        """Let other bytes arrive than were sent."""

        def act(handler: "_Handler") -> bool:
            handler.body = handler.body.replace(old, new)
            return False

        self._faults.append(Fault(where, times, act))

    def before(self, where: str, action: Callable[[], None], times: int = 1) -> None:
        """Call ``action`` before the next requests are answered as always."""

        def act(_: "_Handler") -> bool:
            action()
            return False

        self._faults.append(Fault(where, times, act))

    def fault_for(self, line: str) -> Fault | None:
        with self._lock:
            found = next((fault for fault in self._faults if fault.where in line), None)
            if found:
                found.times -= 1
                self._faults = [fault for fault in self._faults if fault.times > 0]
            return found

    # --- tokens ------------------------------------------------------------------------------
    def grant(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """Return a token for a good assertion; raise ``Refused`` with Google's words."""
        if form.get("grant_type") != [GRANT]:
            raise Refused("Unsupported grant type.")
        head, payload, signed, signature = parts_of(form["assertion"][0])
        account = self.accounts.get(payload["iss"])
        if account is None:
            raise Refused("Invalid grant: account not found")
        try:
            account.keys[head["kid"]].verify(signature, signed, PKCS1v15(), SHA256())
        except (KeyError, InvalidSignature):
            raise Refused("Invalid JWT Signature.") from None
        now = time.time() + self.clock_ahead_s
        if not (
            now - SKEW_S - LONGEST_S < payload["iat"] < now + SKEW_S
            and now < payload["exp"] <= now + LONGEST_S + SKEW_S
        ):
            raise Refused(TIMEFRAME)
        if (head["alg"], payload["aud"]) != ("RS256", AUDIENCE):
            raise Refused("Invalid JWT: audience or algorithm.")
        if not all(scope.startswith(SCOPES) for scope in payload["scope"].split()):
            raise Refused("Invalid OAuth scope or ID token audience provided.")
        self.scopes.append(payload["scope"])
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.tokens[token] = account.email
        return {"access_token": token, "expires_in": self.token_life_s, "token_type": "Bearer"}


def parts_of(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Return a JWT's header, payload, signed text and signature (RFC 7515)."""
    head, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
    return json.loads(head), json.loads(payload), assertion.rpartition(".")[0].encode(), signature


def error_body(status: int, reason: str, message: str) -> dict[str, Any]:
    """Return an error in the storage API's form."""
    error = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": status, "message": message, "errors": [error]}}


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a client's connections come all at once; one too many would wait a second


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # one packet for an answer's headers and its body
    disable_nagle_algorithm = True
    lost = False
    onward: HTTPConnection | None = None

    def log_message(self, *_: Any) -> None:
        """Say nothing on standard error."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def _serve(self) -> None:
        self.lost = False
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.gate.fault_for(f"{self.command} {self.path}")
        if fault and fault.action(self):
            return
        if urlsplit(self.path).path == "/token":
            self._token()
        elif self._admitted():
            self._forward()

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve  # the library's names

    def reply(self, status: int, data: bytes, **headers: str) -> None:
        self.gate.log.append(f"{self.command} {self.path} {status}")
        if self.lost:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _error(self, status: int, message: str, reason: str = "") -> None:
        self.reply(status, json.dumps(error_body(status, reason or REASONS[status], message)).encode())

    def _token(self) -> None:
        if self.command != "POST":
            self.reply(404, b"Not Found")
            return
        try:
            self.reply(200, json.dumps(self.gate.grant(parse_qs(self.body.decode()))).encode())
        except Refused as refused:
            self.reply(400, json.dumps({"error": "invalid_grant", "error_description": str(refused)}).encode())

    def _admitted(self) -> bool:
        """Answer what the gate itself has to say; tell whether the request may go on."""
        email = self.gate.tokens.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        if email is None:
            self._error(401, "Invalid Credentials")
            return False
        held = ROLES[self.gate.accounts[email].role]
        if "/iam/testPermissions" in self.path:
            self._permissions(held)
            return False
        lacks = self._needed() - held
        if lacks:
            name = sorted(lacks)[0]
            self._error(
                403,
                f"{email} does not have {name} access to the Google Cloud Storage object. "
                f"Permission '{name}' denied on resource (or it may not exist).",
            )
            return False
        if self.command == "POST" and not self._is_whole():
            self._error(400, "Provided MD5 hash doesn't match calculated MD5 hash.")
            return False
        return True

    def _needed(self) -> set[str]:
        path = urlsplit(self.path).path
        if path.endswith("/o") and self.command == "GET":
            return {"storage.objects.list"}
        needed = {NEEDS[self.command]}
        generation = parse_qs(urlsplit(self.path).query).get("ifGenerationMatch", ["0"])[0]
        return needed | ({"storage.objects.delete"} if self.command == "POST" and generation != "0" else set())

    def _permissions(self, held: set[str]) -> None:
        bucket = re.match(r"/storage/v1/b/([^/]+)", self.path)
        assert bucket
        status, _ = self._ask("GET", f"/storage/v1/b/{bucket[1]}", b"", {})
        if status == 404:
            self._error(404, "The specified bucket does not exist.")
            return
        asked = parse_qs(urlsplit(self.path).query)["permissions"]
        answer = {"kind": "storage#testIamPermissionsResponse", "permissions": [one for one in asked if one in held]}
        self.reply(200, json.dumps(answer).encode())

    def _is_whole(self) -> bool:
        """Compare the MD5 that a multipart upload declares with that of its media."""
        boundary = (self.headers.get("Content-Type") or "").partition("boundary=")[2].strip("\"'").encode()
        if not boundary:
            return True
        _, first, rest = self.body.split(b"--" + boundary + b"\r\n", 2)
        media = rest.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--" + boundary + b"--")[0]
        declared = json.loads(first.partition(b"\r\n\r\n")[2]).get("md5Hash")
        return declared in (None, base64.b64encode(hashlib.md5(media).digest()).decode())

    def _forward(self) -> None:
        kept = {
            name: value for name, value in self.headers.items() if name.lower() in ("content-type", "content-range")
        }
        status, (kind, data) = self._ask(self.command, self.path, self.body, kept)
        if status >= 400:
            texts = {404: "The specified bucket does not exist." if "/upload/" in self.path else "No such object."}
            self._error(status, texts.get(status, "At least one of the pre-conditions you specified did not hold."))
        elif self.command == "DELETE":
            self.reply(204, b"")
        else:
            self.reply(status, data, **{"Content-Type": kind})

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, tuple[str, bytes]]:
        if self.onward is None:
            self.onward = HTTPConnection(*self.gate.upstream, timeout=30)
        self.onward.request(method, path, body, headers)
        answer = self.onward.getresponse()
        return answer.status, (answer.getheader("Content-Type") or "application/json", answer.read())


def object_name(line: str) -> str:
    """Return the object that a line of the log is about; ``""`` for an upload, whose name is in its body."""
    found = re.search(r"/o/([^?\s]+)", line)
    return unquote(found[1]) if found else ""
