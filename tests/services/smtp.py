"""A mail server in a thread: takes mail over TLS that it asks for, from who signs in (RFC 5321, 3207, 4954)."""

import base64
import email.policy
import socketserver
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services.authority import Authority

USER, PASSWORD = "hub@example.com", "mail/pass-CANARY-4f2a"


@dataclass
class Mail:
    """One mail as it was taken."""

    sender: str
    recipients: list[str]
    message: EmailMessage

    @property
    def text(self) -> str:
        """Return its text."""
        return str(self.message.get_content())


class _Session(socketserver.StreamRequestHandler):
    server: "SmtpServer"

    def handle(self) -> None:
        self.encrypted = self.known = False
        self.sender, self.recipients = "", [""][:0]
        self.say("220 test.example ESMTP")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if not getattr(self, f"do_{verb.lower()}", self.unknown)(rest):
                return

    def say(self, text: str) -> bool:
        self.wfile.write(f"{text}\r\n".encode())
        return True

    def unknown(self, _: str) -> bool:
        return self.say("502 5.5.1 not here")

    def do_ehlo(self, _: str) -> bool:
        return self.say("250-test.example\r\n250 " + ("AUTH PLAIN" if self.encrypted else "STARTTLS"))

    def do_starttls(self, _: str) -> bool:
        self.say("220 go ahead")
        try:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        except OSError:  # the client does not trust it
            return False
        self.rfile, self.wfile, self.encrypted = self.request.makefile("rb"), self.request.makefile("wb", 0), True
        return True

    def do_auth(self, rest: str) -> bool:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self.known = (user, password) == (USER, PASSWORD)
        # Some servers repeat what they were told; a log must not.
        return self.say("235 welcome" if self.known else f"535 5.7.8 no {user} with {password} here")

    def do_mail(self, rest: str) -> bool:
        self.sender = rest.partition("<")[2].partition(">")[0]
        return self.say("250 ok" if self.known else "530 5.7.0 sign in first")

    def do_rcpt(self, rest: str) -> bool:
        self.recipients.append(rest.partition("<")[2].partition(">")[0])
        return self.say(self.server.answer or "250 ok")

    def do_data(self, _: str) -> bool:
        self.say("354 go on")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        parser: Any = BytesParser(policy=email.policy.default)
        self.server.mails.append(Mail(self.sender, self.recipients, parser.parsebytes(b"".join(lines))))
        return self.say("250 taken")

    def do_rset(self, _: str) -> bool:
        self.recipients = []
        return self.say("250 ok")

    def do_quit(self, _: str) -> bool:
        self.say("221 bye")
        return False


@dataclass
class SmtpServer(socketserver.ThreadingTCPServer):
    """The server; ``mails`` are what it took, ``answer`` is what it says to a recipient in place of ``250``."""

    mails: list[Mail] = field(default_factory=list)
    answer: str = ""
    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        authority = Authority()
        certificate, key = authority.issue("127.0.0.1")
        self.folder = tempfile.TemporaryDirectory(prefix="smtp-")
        self.ca_file = Path(self.folder.name) / "ca.pem"
        self.ca_file.write_text(authority.pem)
        both = Path(self.folder.name) / "server.pem"
        both.write_bytes(certificate + key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(both)

    @property
    def url(self) -> str:
        """Return EMAIL_URL."""
        user, password = USER.replace("@", "%40"), PASSWORD.replace("/", "%2F")
        return f"smtp+tls://{user}:{password}@127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown()
        self.server_close()
        self.folder.cleanup()
