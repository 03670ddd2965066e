"""``make run`` and ``make demo-event``: the hub on one machine, with nothing set up before.

``python -m terra_hub.local run`` keeps what it makes under ``.run/``: the database, the payload
store, and ``keys.env`` with mode 600. Environment variables that are set win over that file.
"""

import base64
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
RUN_DIR = BASE_DIR / ".run"
KEYS_FILE = RUN_DIR / "keys.env"


def main() -> None:
    """Run the command that the first argument names."""
    commands = {"run": run, "demo-event": demo_event}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        raise SystemExit(f"usage: python -m terra_hub.local {'|'.join(commands)}")
    prepare_environment()
    import django

    django.setup()
    commands[name]()


def prepare_environment() -> None:
    """Set what the settings read: local keys, the local address, the demonstration."""
    port = os.environ.setdefault("PORT", "8000")
    local = _local_keys() | {
        "DJANGO_SETTINGS_MODULE": "terra_hub.settings",
        "DATABASE_URL": f"sqlite:///{RUN_DIR / 'hub.sqlite3'}",
        "PAYLOAD_DIR": str(RUN_DIR / "payloads"),
        "PUBLIC_URL": f"http://localhost:{port}",
        "EGRESS_ALLOW": "127.0.0.0/8,::1",
        "DEMO_ECHO": "true",
        "API_BASIC_AUTH": "true",
        "LOG_LEVEL": "WARNING",
    }
    for name, value in local.items():
        if f"{name}_FILE" not in os.environ:
            os.environ.setdefault(name, value)


def _local_keys() -> dict[str, str]:
    """Return this machine's own keys, made on the first run."""
    RUN_DIR.mkdir(mode=0o700, exist_ok=True)
    if not KEYS_FILE.exists():
        _write_keys()
    lines = KEYS_FILE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _write_keys() -> None:
    made = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "CREDENTIAL_KEYS": f"local:{base64.b64encode(os.urandom(32)).decode()}",
        "DEMO_SIGNING_SECRET": secrets.token_hex(24),
    }
    handle = os.open(KEYS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in made.items())


def run() -> None:
    """Migrate, make the demonstration, and serve until Ctrl-C."""
    from django.core.management import CommandError, call_command
    from django.db import connections

    from destinations.services import Refused
    from terra_hub import demo
    from terra_hub.management.commands.serve import refuse_taken_port

    try:
        refuse_taken_port("127.0.0.1", int(os.environ["PORT"]))
    except CommandError as error:
        raise SystemExit(str(error)) from error
    call_command("migrate", verbosity=0)
    username = os.environ.get("DJANGO_SUPERUSER_USERNAME", "admin")
    made = demo.administrator(username, os.environ.get("DJANGO_SUPERUSER_PASSWORD", ""))
    try:
        demo.set_up(os.environ["DEMO_SIGNING_SECRET"], os.environ.get("DEMO_POSTGRES_URL", ""))
    except Refused as error:
        raise SystemExit(f"The demo cannot be set up: {error.errors} {error.hint}") from error
    connections.close_all()
    threading.Thread(target=_greet, args=(username, made), daemon=True).start()
    raise SystemExit(_serve())


def _serve() -> int:
    """Run server and worker as a child in this terminal's group: Ctrl-C reaches it as well."""
    import signal

    command = [sys.executable, "manage.py", "serve", "--port", os.environ["PORT"]]
    child = subprocess.Popen(command, cwd=BASE_DIR)  # noqa: S603
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return child.wait()


def _greet(username: str, made: str) -> None:
    """Once the hub is up: post the first events, and say what to open."""
    from terra_hub import demo

    url = demo.local_url()
    if not demo.wait_until_up(url):
        say("The hub did not come up within 30 s: see the messages above.")
        return
    demo.post_first_events(url, os.environ["DEMO_SIGNING_SECRET"])
    public = os.environ["PUBLIC_URL"]
    password = f"password {made} (shown only now)" if made else "the password that you have"
    say(
        f"\nThe hub runs.\n"
        f"  Admin       {public}/admin/   user {username}, {password}\n"
        f"  Deliveries  {public}/admin/webhooks/delivery/\n"
        f"  Echo page   {public}/demo/echo   what the demo webhook received\n"
        f"  API         {public}/api/docs/\n"
        f"  Webhooks    POST {public}/webhooks/terra/{demo.SLUG}\n"
        f"One more event: make demo-event PORT={os.environ['PORT']}. Stop with Ctrl-C.\n"
    )


def demo_event() -> None:
    """Post one more signed event to the hub that runs here."""
    from terra_hub import demo

    url = demo.local_url()
    if not demo.wait_until_up(url, timeout_s=2):
        raise SystemExit(f"No hub answers at {url}. Start it with: make run (PORT={os.environ['PORT']})")
    answer = demo.post_sample(
        url, os.environ["DEMO_SIGNING_SECRET"], demo.random_sample(), trace_id=f"demo-{secrets.token_hex(8)}"
    )
    say(f"Accepted as event {answer['event_id']}: {os.environ['PUBLIC_URL']}/admin/webhooks/event/")


def say(text: str) -> None:
    """Speak to the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
