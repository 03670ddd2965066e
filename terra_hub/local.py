"""``make run`` and ``make demo-event``: the hub on one machine, with nothing set up before.

``python -m terra_hub.local run`` keeps what it makes under ``.run/``: the database, the payload
store, the collected static files, and ``keys.env`` with mode 600. Environment variables that are set win
over that file.
"""

import base64
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from terra_hub.entry import ENVIRONMENT_FILE, settings_problem
from terra_hub.environment import BadSetting, Environment

BASE_DIR = Path(__file__).resolve().parent.parent
RUN_DIR = BASE_DIR / ".run"
KEYS_FILE = RUN_DIR / "keys.env"
STATIC_DIR = RUN_DIR / "static"


def main() -> None:
    """Run the command that the first argument names."""
    commands = {"run": run, "demo-event": demo_event}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        raise SystemExit(f"usage: python -m terra_hub.local {'|'.join(commands)}")
    try:
        made = prepare_environment()
    except BadSetting as problem:
        raise SystemExit(str(problem)) from problem
    if wrong := settings_problem():
        raise SystemExit(wrong)
    import django

    django.setup()
    if name == "run":
        _refuse_taken_port()
        write_environment(made)
    commands[name]()


def demo_wanted() -> bool:
    """Tell whether the demonstration is made: unless ``DEMO=0`` asks for an empty hub."""
    return os.environ.get("DEMO", "1").strip().lower() not in ("0", "false", "no", "off")


def prepare_environment() -> dict[str, str]:
    """Set what the settings read: local keys, the local address, the demonstration.

    Return what was set here: what was set before is not among it.
    """
    port = os.environ["PORT"] = str(Environment().whole("PORT", 8000, least=1))
    local = _local_keys() | {
        "DJANGO_SETTINGS_MODULE": "terra_hub.settings",
        "DATABASE_URL": f"sqlite:///{RUN_DIR / 'hub.sqlite3'}",
        "PAYLOAD_DIR": str(RUN_DIR / "payloads"),
        "STATIC_ROOT": str(_static_root()),
        "PUBLIC_URL": f"http://localhost:{port}",
        "EGRESS_ALLOW": "127.0.0.0/8,::1",
        "DEMO_ECHO": "true" if demo_wanted() else "false",
        "API_BASIC_AUTH": "true",
        "LOG_LEVEL": "WARNING",
    }
    made = {name: local[name] for name in local if not {name, f"{name}_FILE"} & os.environ.keys()}
    os.environ.update(made)
    return made


def write_environment(made: dict[str, str]) -> None:
    """Write what was set here for the command line, for this user alone.

    Whoever brings keys or a database of their own brings them to the command line as well: nothing of theirs is
    written, and no file is left that would lead to another database.
    """
    if "SECRET_KEY" not in made:
        return  # then the command line takes no file either
    ENVIRONMENT_FILE.unlink(missing_ok=True)
    if "DATABASE_URL" in made:
        _write_private(ENVIRONMENT_FILE, made)


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
    _write_private(KEYS_FILE, made)


def _write_private(path: Path, values: dict[str, str]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


def _static_root() -> Path:
    """Return the folder for the static files of this very state of the sources: one more for each change of them."""
    own = BASE_DIR / "terra_hub" / "static"
    files = [BASE_DIR / "requirements.txt", *sorted(path for path in own.rglob("*") if path.is_file())]
    state = hashlib.sha256()
    for path in files:
        state.update(f"{path.relative_to(BASE_DIR)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return STATIC_DIR / state.hexdigest()[:16]


def _collect_static_files() -> None:
    """Compress what pages load, once: a page of the admin weighs a quarter of what it would else."""
    root = Path(os.environ.get("STATIC_ROOT", ""))
    if root.parent != STATIC_DIR or root.exists():
        return  # collected, or a folder of somebody's own
    shutil.rmtree(STATIC_DIR, ignore_errors=True)  # of earlier sources
    STATIC_DIR.mkdir()
    # Beside its place, and then moved: whoever breaks this off leaves no half of it behind.
    beside = Path(tempfile.mkdtemp(dir=RUN_DIR, prefix="static-"))
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0", "--ignore", "*.map"]
    try:
        subprocess.run(command, cwd=BASE_DIR, env=os.environ | {"STATIC_ROOT": str(beside)}, check=True)  # noqa: S603
        beside.rename(root)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def run() -> None:
    """Migrate, make the demonstration unless ``DEMO=0``, and serve until Ctrl-C."""
    from django.core.management import call_command
    from django.db import connections

    from terra_hub import demo

    _collect_static_files()
    call_command("migrate", verbosity=0)
    username = os.environ.get("DJANGO_SUPERUSER_USERNAME", "admin")
    made = demo.administrator(username, os.environ.get("DJANGO_SUPERUSER_PASSWORD", ""))
    if demo_wanted():
        _make_demo()
    connections.close_all()
    threading.Thread(target=_greet, args=(username, made), daemon=True).start()
    raise SystemExit(_serve())


def _refuse_taken_port() -> None:
    from django.core.management import CommandError

    from terra_hub.management.commands.serve import refuse_taken_port

    try:
        refuse_taken_port("127.0.0.1", int(os.environ["PORT"]))
    except CommandError as error:
        raise SystemExit(str(error)) from error


def _make_demo() -> None:
    from destinations.services import Refused
    from terra_hub import demo

    try:
        demo.set_up(os.environ["DEMO_SIGNING_SECRET"], os.environ.get("DEMO_POSTGRES_URL", ""))
    except Refused as error:
        raise SystemExit(f"The demo cannot be set up: {error.errors} {error.hint}") from error


def _serve() -> int:
    """Run server and worker as a child in this terminal's group: Ctrl-C reaches it as well."""
    import signal

    command = [sys.executable, "manage.py", "serve", "--port", os.environ["PORT"]]
    child = subprocess.Popen(command, cwd=BASE_DIR)  # noqa: S603
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return child.wait()


def _greet(username: str, made: str) -> None:
    """Once the hub is up: post the demonstration's first events, and say what to open."""
    from terra_hub import demo

    url = demo.local_url()
    if not demo.wait_until_up(url):
        say("The hub did not come up within 30 s: see the messages above.")
        return
    public = os.environ["PUBLIC_URL"]
    password = f"password {made} (shown only now)" if made else "the password that you have"
    admin = f"\nThe hub runs.\n  Admin       {public}/admin/   user {username}, {password}\n"
    if not demo_wanted():
        say(f"{admin}It is empty: log in, and its first page leads to the first delivery. Stop with Ctrl-C.\n")
        return
    demo.post_first_events(url, os.environ["DEMO_SIGNING_SECRET"])
    say(
        f"{admin}"
        f"  Deliveries  {public}/admin/webhooks/delivery/\n"
        f"  Echo page   {public}/demo/echo   what the demo webhook received\n"
        f"  API         {public}/api/docs/\n"
        f"  Webhooks    POST {public}/webhooks/terra/{demo.SLUG}\n"
        f"One more event: make demo-event PORT={os.environ['PORT']}. Stop with Ctrl-C.\n"
    )


def demo_event() -> None:
    """Post one more signed event to the hub that runs here."""
    from django.urls import reverse

    from terra_hub import demo

    url = demo.local_url()
    if not demo.wait_until_up(url, timeout_s=2):
        raise SystemExit(f"No hub answers at {url}. Start it with: make run (PORT={os.environ['PORT']})")
    answer = demo.post_sample(
        url, os.environ["DEMO_SIGNING_SECRET"], demo.random_sample(), trace_id=f"demo-{secrets.token_hex(8)}"
    )
    page = reverse("admin:webhooks_event_change", args=[answer["event_id"]])
    say(f"Accepted as event {answer['event_id']}: {os.environ['PUBLIC_URL']}{page}")


def say(text: str) -> None:
    """Speak to the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
