"""How commands and web server begin: the environment, and how they end, in one line, before the hub is there.

Nothing of Django is imported before the environment is complete.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT_FILE = Path(__file__).resolve().parent.parent / ".run" / "environment"
_INTERRUPTED = 130
# Commands that nothing good comes of without these; others, such as generate_key, go on without them.
_WITH_KEY = frozenset({"serve", "worker", "migrate", "check"})
_WITH_DATABASE = frozenset({"serve", "migrate", "createsuperuser", "changepassword", "rotate_keys"})
_HELP = frozenset({"-h", "--help", "--version"})
_NO_KEY = (
    "SECRET_KEY is not set, or is empty: sessions and forms are signed with it. Make one, keep it, and set it: "
    'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
)
_UNSET = (
    "SECRET_KEY is not set. Set the environment of the hub's server here too (SECRET_KEY, CREDENTIAL_KEYS, "
    "DATABASE_URL, PUBLIC_URL, …: README.md, each also as NAME_FILE), or start a hub in this folder: make run."
)


def hub(arguments: Sequence[str], prog_name: str, completion: bool = False) -> int:
    """Run a command of the hub as the whole of this process, and return its exit code."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so behind nohup
    if heeded:
        # The imports take a second, and there is nothing to tidy up in them.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    _take_over(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "terra_hub.settings")
    problem = _problem()
    if problem:
        from terra_hub.cli.errors import not_configured

        return not_configured(problem, as_json="--json" in arguments)
    import terra_hub.cli.main  # noqa: F401  # the longest of the imports
    from terra_hub.management.commands.hub import finish

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return finish(list(arguments), prog_name, completion)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _problem() -> str:
    """Read the settings; return what is wrong with them, or ``""``."""
    if not os.environ.get("SECRET_KEY") and not os.environ.get("SECRET_KEY_FILE"):
        return _UNSET
    if problem := settings_problem() or key_problem():
        return problem
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except (ImproperlyConfigured, OSError) as error:
        return f"The hub's settings cannot be read: {error}"
    return ""


def settings_problem() -> str:
    """Return what is wrong with a setting, in one line, or ``""``: no process need begin with a traceback of it."""
    from terra_hub.environment import BadSetting

    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except BadSetting as problem:
        return str(problem)
    return ""


def key_problem() -> str:
    """Return that there is no SECRET_KEY, and how to make one, or ``""``; the settings can be read."""
    settings = importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    return "" if settings.SECRET_KEY.strip() else _NO_KEY


def command_problem(arguments: Sequence[str]) -> str:
    """Return why a command of ``manage.py`` cannot begin, in one line, or ``""``."""
    if problem := settings_problem():
        return problem
    name = arguments[0] if arguments else ""
    if _HELP & set(arguments):
        return ""
    if name in _WITH_KEY and (problem := key_problem()):
        return problem
    return _database_problem(name)


def _database_problem(name: str) -> str:
    """Try the database before a command that needs it; a worker waits for a server, but no file comes by itself."""
    from terra_hub.databases import is_file, unreachable

    return unreachable() if name in _WITH_DATABASE or (name == "worker" and is_file()) else ""


def _take_over(arguments: Sequence[str]) -> None:
    """Take the environment that ``make run`` wrote, where this shell has none of a hub; what is set here wins."""
    if "SECRET_KEY" in os.environ or "SECRET_KEY_FILE" in os.environ or not ENVIRONMENT_FILE.is_file():
        return
    lines = ENVIRONMENT_FILE.read_text().splitlines()
    for name, value in (line.split("=", 1) for line in lines if "=" in line):
        if f"{name}_FILE" not in os.environ:
            os.environ.setdefault(name, value)
    if {"-v", "--verbose"} & set(arguments):
        sys.stderr.write(f"The environment is that of make run: {ENVIRONMENT_FILE}.\n")
