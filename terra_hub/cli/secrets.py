"""Where secrets come from: the environment, a file, standard input, or a prompt. Never from an argument.

Arguments are in the shell's history, and every user of the machine sees them in the list of processes.
"""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from destinations.rules import Refused
from terra_hub.cli.asking import ask, interactive

VARIABLE = "HUB_SECRET_"  # and the field's name in capitals
MOST_BYTES = 1024 * 1024
SecretEnv = Annotated[
    list[str] | None,
    typer.Option("--secret-env", metavar="NAME=VAR", help="Take a secret from an environment variable."),
]
SecretFile = Annotated[
    list[str] | None,
    typer.Option("--secret-file", metavar="NAME=PATH", help="Take a secret from a file; - is standard input."),
]


def given_secrets(names: Collection[str], env: Sequence[str] | None, files: Sequence[str] | None) -> dict[str, str]:
    """Return the secrets that were given for these fields, by name; raise ``Refused``.

    What ``--secret-env`` and ``--secret-file`` say wins over the variables ``HUB_SECRET_<NAME>``.
    """
    found = {name: os.environ[variable_of(name)] for name in names if variable_of(name) in os.environ}
    for name, variable in _pairs(env, "--secret-env", names):
        if variable not in os.environ:
            raise Refused({f"credentials.{name}": [f"The environment has no variable {variable}."]})
        found[name] = os.environ[variable]
    readers = _pairs(files, "--secret-file", names)
    if sum(path == "-" for _, path in readers) > 1:
        raise Refused({"": ["Standard input holds one secret only."]})
    return found | {name: read_secret(path, f"credentials.{name}") for name, path in readers}


def ask_secret(name: str, label: str) -> str:
    """Return a secret that is typed unseen; raise ``Refused`` with the other ways where nobody can be asked."""
    if not interactive():
        raise Refused({f"credentials.{name}": ["A secret is needed."]}, hint=how_to_give(name))
    return ask(label, secret=True)


@contextmanager
def saying_how() -> Iterator[None]:
    """Add to a refusal that is about credentials how these are given."""
    try:
        yield
    except Refused as refused:
        names = [path.removeprefix("credentials.") for path in refused.errors if path.startswith("credentials.")]
        if not names:
            raise
        hint = " ".join(filter(None, [refused.hint, how_to_give(names[0])]))
        raise Refused(refused.errors, refused.code, hint) from refused


def how_to_give(name: str) -> str:
    """Say how a secret is given."""
    return f"Give it by the variable {variable_of(name)}, --secret-env {name}=VARIABLE or --secret-file {name}=PATH."


def never_an_argument(name: str) -> Refused:
    """Return the refusal of a secret that stood among the arguments."""
    text = "A secret is never given as an argument: shells keep those, and ps shows them. This one is known now."
    return Refused({f"credentials.{name}": [text]}, code="secret_in_arguments", hint=how_to_give(name))


def variable_of(name: str) -> str:
    """Return the environment variable that is looked at for a field's secret."""
    return VARIABLE + name.upper()


def read_secret(path: str, field: str) -> str:
    """Return a file's text without the line feed at its end; ``-`` is standard input."""
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1) if path == "-" else _start_of(Path(path))
        text = content.decode()
    except OSError as error:
        raise Refused({field: [f"{path} cannot be read: {error.strerror}."]}) from error
    except UnicodeDecodeError as error:
        raise Refused({field: [f"{path} is not text in UTF-8."]}) from error
    if len(content) > MOST_BYTES:
        raise Refused({field: [f"{path} is longer than 1 MiB."]})
    return text.removesuffix("\n").removesuffix("\r")


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _pairs(texts: Sequence[str] | None, option: str, names: Collection[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        name, _, value = text.partition("=")
        name = name.strip().removeprefix("credentials.")
        if not value or name not in names:
            known = f"Secrets here: {', '.join(sorted(names))}." if names else "There is no secret to give here."
            raise Refused({"": [f"{option} takes NAME=…, where NAME is a secret's field. {known}"]})
        pairs.append((name, value))
    return pairs
