"""What can go wrong between a request and its answer, in stable codes and in words for people."""

from enum import Enum

import pycurl

_TLS_CODES = {
    pycurl.E_SSL_CONNECT_ERROR,
    pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_CACERT_BADFILE,
    pycurl.E_SSL_CERTPROBLEM,
    pycurl.E_SSL_CIPHER,
    pycurl.E_SSL_ISSUER_ERROR,
    pycurl.E_SSL_INVALIDCERTSTATUS,
}
_CLOSED_CODES = {
    pycurl.E_GOT_NOTHING: "The server closed the connection without an answer.",
    pycurl.E_RECV_ERROR: "The connection broke before the answer was complete.",
    pycurl.E_SEND_ERROR: "The connection broke while the request was sent.",
    pycurl.E_SEND_FAIL_REWIND: "The server closed a kept connection without an answer.",
    pycurl.E_PARTIAL_FILE: "The server closed the connection in the middle of its answer.",
}
# libcurl took CURLE_WEIRD_SERVER_REPLY over from FTP, and pycurl kept the old name.
_BAD_ANSWER_CODES = {pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_BAD_CONTENT_ENCODING}
_TOO_LARGE = 100  # CURLE_TOO_LARGE, which pycurl does not name
# What OpenSSL says, and what its reader can do about it.
_TLS_HINTS = (
    ("self-signed", "Paste the certificate of the CA that signed the server's into ca_certificate."),
    ("self signed", "Paste the certificate of the CA that signed the server's into ca_certificate."),
    (
        "unable to get local issuer",
        "Let the server send its whole chain, or paste its CA into ca_certificate; empty means the public CAs.",
    ),
    ("expired", "Renew the server's certificate."),
    ("does not match", "Use a host name that the server's certificate is for."),
    ("no alternative certificate subject name", "Use a host name that the server's certificate is for."),
    ("wrong version number", "The port speaks no TLS: use http://, or the port for https."),
)


_TRANSFER = "Look into the log of the server, and of what stands before it."
_SLOW_HINT = "Let the receiver answer first and work afterwards, or raise the destination's timeout."


class HttpError(Exception):
    """A request without an answer: ``code`` is stable, ``detail`` and ``hint`` are for people."""

    def __init__(self, code: str, detail: str, hint: str = "", duration_ms: int = 0) -> None:
        """Take one of: timeout, deadline, connect_timeout, tls_timeout, connect_failed, dns_failed, tls_failed.

        And: egress_refused, connection_closed, response_headers_too_large, bad_response, transfer_failed.
        """
        super().__init__(detail)
        self.code, self.detail, self.hint, self.duration_ms = code, detail, hint, duration_ms


class Phase(Enum):
    """How far a request came before its time was up: its code, and what did not happen."""

    CONNECT = "connect_timeout", "No connection", "Check the host, the port and the firewalls between."
    TLS = "tls_timeout", "No TLS handshake", "Check that the port speaks TLS."
    SILENCE = "timeout", "No answer", _SLOW_HINT
    ANSWER = "deadline", "The answer began, and was not complete", _SLOW_HINT


def timeout(phase: Phase, duration_ms: int) -> HttpError:
    """Name a request whose time was up."""
    code, missing, hint = phase.value
    return HttpError(code, f"{missing} within {duration_ms / 1000:.1f} s.", hint, duration_ms)


def too_large(duration_ms: int) -> HttpError:
    """Name an answer whose headers were too large."""
    detail = "The answer's headers are larger than 64 KiB."
    return HttpError("response_headers_too_large", detail, "Look at what the server sends.", duration_ms)


def error_of(code: int, text: str, duration_ms: int) -> HttpError:
    """Name a failed transfer by libcurl's error ``code`` and ``text``."""
    if code == _TOO_LARGE:
        return too_large(duration_ms)
    if code in _TLS_CODES:
        return HttpError("tls_failed", f"TLS failed: {text}.", tls_hint(text), duration_ms)
    if code == pycurl.E_COULDNT_CONNECT:
        hint = "Check the host and the port, and that the server runs and lets the hub through."
        return HttpError("connect_failed", f"Could not connect: {text}.", hint, duration_ms)
    if code in _CLOSED_CODES:
        return HttpError("connection_closed", _CLOSED_CODES[code], "Look into the server's log.", duration_ms)
    if code in _BAD_ANSWER_CODES:
        return HttpError("bad_response", f"The answer is not HTTP: {text}.", "Check the URL's port.", duration_ms)
    return HttpError("transfer_failed", f"The transfer failed: {text} (libcurl {code}).", _TRANSFER, duration_ms)


def tls_hint(text: str) -> str:
    """Return what to change after a TLS error, by what OpenSSL said of it."""
    lower = text.lower()
    return next(
        (hint for said, hint in _TLS_HINTS if said in lower), "Check the server's certificate and TLS versions."
    )
