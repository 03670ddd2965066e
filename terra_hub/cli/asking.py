"""Questions to whoever sits at the terminal. Where nobody does, nothing is asked, and a yes must be on the command."""

import getpass
import sys

from destinations.rules import Refused


def interactive() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, yes: bool) -> None:
    """Go on only after a yes; raise ``Refused`` after anything else, and where nobody can be asked."""
    if yes:
        return
    if not interactive():
        raise Refused({"": ["Nobody can be asked here."]}, code="not_confirmed", hint="Add --yes to do it.")
    if _line(f"{question} [y/N]: ").strip().lower() not in ("y", "yes"):
        raise Refused({"": ["Nothing was done."]}, code="not_confirmed")


def ask(label: str, default: str = "", secret: bool = False) -> str:
    """Return what is typed, after more than nothing was; of a secret nothing is shown meanwhile."""
    prompt = f"{label} [{default}]: " if default else f"{label}: "
    while True:
        answer = getpass.getpass(prompt, sys.stderr) if secret else _line(prompt).strip()
        if answer or default:
            return answer or default


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
