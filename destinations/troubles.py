"""Error codes in words: what kind of trouble one of them stands for. The adapters' tables say what each one means."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Who the hub is was refused: new credentials mend it. A missing right of a known user is ``_RIGHT_MISSING``.
_LOGIN_REFUSED = frozenset({
    "http_401",
    "28000", "28P01",  # SQLSTATE, class 28: PostgreSQL and Supabase
    "1045", "1698", "1820", "1862", "3118", "4151",  # MySQL and MariaDB
    "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
    "InvalidSignatureException", "IncompleteSignature", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
    "credentials_missing",  # AWS
    "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation",
    "KeyBasedAuthenticationNotPermitted",  # Azure
    "authError", "invalid_grant", "invalid_client", "unauthorized_client",  # Google
    "PGRST301", "PGRST302", "PGRST303", "InvalidJWT",  # Supabase
})  # fmt: skip
_RIGHT_MISSING = frozenset({
    "http_403",
    "42501",  # SQLSTATE
    "1044", "1142", "1143", "1227", "1370",  # MySQL and MariaDB
    "AccessDenied", "AccessDeniedException", "KmsAccessDenied",  # AWS
    "AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions",  # Azure
    "forbidden", "access_denied",  # Google
})  # fmt: skip
# Where a code means another thing at one type than at all others.
_LOGIN_REFUSED_AT: Mapping[str, Collection[str]] = {"supabase": ("AccessDenied", "http_403")}
_WORDS: Mapping[str, str] = {
    "timeout": "timeouts", "connect_timeout": "timeouts", "deadline": "timeouts", "http_408": "timeouts",
    "connect_failed": "connection errors", "connection_lost": "connection errors",
    "connection_closed": "connection errors",
    "dns_failed": "failed name lookups", "tls_failed": "TLS errors",
    "egress_refused": "addresses that the hub may not dial",
}  # fmt: skip
_STATUS = re.compile(r"http_([1-5]\d\d)")


def login_refused(type_name: str, code: str) -> bool:
    """Tell whether ``code`` says, of a destination of that type, that its credentials are refused."""
    return code in _LOGIN_REFUSED or code in _LOGIN_REFUSED_AT.get(type_name, ())


def check_was_refused(type_name: str, steps: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether the stored steps of a check say that the credentials are refused, or cannot be used."""
    failed = [step for step in steps if step["name"] == "authenticate" and step["status"] == "failed"]
    return any(not step.get("code") or login_refused(type_name, step["code"]) for step in failed)


def trouble_of(type_name: str, code: str) -> str:
    """Return what goes wrong, to follow "with": ``authentication errors``; ``""`` where no code was noted."""
    if login_refused(type_name, code):
        return "authentication errors"
    if code in _RIGHT_MISSING:
        return "missing permissions"
    status = _STATUS.fullmatch(code)
    if status and code not in _WORDS:
        return f"answers of {status[1]}"
    return _WORDS.get(code, f"the error {code}" if code else "")
