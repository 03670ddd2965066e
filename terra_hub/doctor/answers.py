"""What an answer from the public URL means, where it is not the hub's: which server gave it, and what to change."""

from collections.abc import Mapping

from django.conf import settings

from destinations.shown import size
from terra_hub.doctor.outside import Reply
from terra_hub.healthchecks import Unwell

# Begins what a server calls itself -> (its name, the setting by which it limits bodies).
_LIMITS: Mapping[str, tuple[str, str]] = {
    "nginx": ("nginx", "Set `client_max_body_size {need};` in the server or location that passes to the hub. Reload."),
    "openresty": ("nginx", "Set `client_max_body_size {need};` in the server or location that passes to the hub."),
    "apache": ("Apache", "Set `LimitRequestBody {bytes}` for the hub's location, and reload."),
    "cloudflare": ("Cloudflare", "Cloudflare takes 100 MB in its free plan; look for a rule of yours that refuses."),
    "envoy": ("Envoy", "Raise `max_request_bytes` of its buffer filter, or take the filter away."),
    "microsoft-iis": ("IIS", "Raise `maxAllowedContentLength` to {bytes}."),
    "litespeed": ("LiteSpeed", "Raise the maximum size of a request's body to {need}."),
    "caddy": ("Caddy", "Raise `request_body max_size` to {need}."),
}
_ANY_LIMIT = "Raise the largest body that it passes on to {need}."


def need() -> int:
    """Return the bytes that a proxy should let through: as many as the hub takes."""
    return int(settings.MAX_BODY_BYTES)


def too_large(reply: Reply, tried: int, passed: int | None) -> Unwell:
    """Say who refused a body of ``tried`` bytes as too large; ``passed``: so many went through."""
    let_through = f" {size(passed)} went through." if passed else ""
    if reply.code == "body_too_large":
        return Unwell(
            f"The hub itself refuses {size(tried)}.{let_through}", f"MAX_BODY_BYTES is {settings.MAX_BODY_BYTES}.",
            "Raise MAX_BODY_BYTES, or leave it where Terra sends you nothing that large.",
        )  # fmt: skip
    name, fix = _limit_of(reply.server)
    megabytes = f"{-(-need() // 1024**2)}m"
    return Unwell(
        f"{name} before the hub answers {reply.status} to {size(tried)}.{let_through}",
        f"{name} limits the size of bodies. Terra's larger events never reach the hub: no quarantine shows them.",
        fix.format(need=megabytes, bytes=need()),
    )  # fmt: skip


def _limit_of(server: str) -> tuple[str, str]:
    for start, known in _LIMITS.items():
        if server.lower().startswith(start):
            return known
    return f"A proxy ({server})" if server else "A proxy", _ANY_LIMIT


def not_the_hub(reply: Reply) -> Unwell:
    """Say what an answer means that the hub's own door would not have given."""
    by = f" by {reply.server}" if reply.server else ""
    if 300 <= reply.status < 400:
        return Unwell(
            f"It redirects ({reply.status}) to {reply.headers.get('location', '?')}.",
            "A proxy or SECURE_SSL_REDIRECT sends everything elsewhere. Terra follows no redirect.",
            "Let PUBLIC_URL be the last address. Behind a proxy that speaks TLS, set TRUSTED_PROXY_COUNT and have it "
            "send X-Forwarded-Proto.",
        )  # fmt: skip
    if reply.status in (502, 503, 504) and not reply.code:
        return Unwell(f"It answers {reply.status}{by}.", "The proxy runs, and does not reach the hub.",
                      "Start the hub, and look at the address that the proxy passes to.")  # fmt: skip
    if reply.status in (401, 403, 405, 406):
        return Unwell(
            f"It answers {reply.status}{by} to a POST.", "A proxy or a firewall wants a log-in there, or refuses it.",
            "Let POST to /webhooks/ through without a log-in: the hub checks signatures itself.",
        )  # fmt: skip
    if reply.status == 404:
        return Unwell(
            f"It answers 404{by}.", "Another site, or a hub with another SECRET_KEY or an older version, answers; or "
            "the proxy does not pass /webhooks/ on.",
            "Compare PUBLIC_URL and SECRET_KEY of this process with those of the web server.",
        )  # fmt: skip
    said = f"{reply.code}: {reply.json.get('detail', '')}" if reply.code else f"{reply.status}{by}"
    return Unwell(f"It answers {said}", "", "Look at the hub's log, and at the proxy's.")
