"""A small shell for the journeys: a prompt in a real terminal, where each ``terra-hub`` is a fork of this process.

Django is loaded once, not once per command. It never opens the database itself, so a fork shares no connection.
Whatever has pipes or redirections goes to bash, and there ``terra-hub`` is the executable itself.
"""

import contextlib
import io
import os
import shlex
import signal
import subprocess
import sys
import traceback

import django

PROMPT = "$ "
BEGIN = "begin "
PUBLIC_URL = ".public-url"  # a file in the folder of a journey: the hub's PUBLIC_URL there, where it has one of its own
_FOR_BASH = set("|><;&*`")
_PIPE = " | "


def main() -> None:
    django.setup()
    import rich.progress  # noqa: F401

    from terra_hub.cli.main import run

    with contextlib.redirect_stdout(io.StringIO()):
        run(["destinations", "types"], "terra-hub")  # what commands need is loaded here once, not in each fork
    code, environment = 0, dict(os.environ)
    while True:
        try:
            line = input(PROMPT)
        except EOFError:
            return
        if line.startswith(BEGIN):  # another journey: in a folder of its own, and with nothing exported
            os.chdir(line.removeprefix(BEGIN))
            os.environ.clear()
            os.environ.update(environment)
        else:
            code = carry_out(line, code)


def carry_out(line: str, last: int) -> int:
    words = shlex.split(line)
    if not words:
        return last
    if words[0] == "export":
        os.environ.update(dict(word.split("=", 1) for word in words[1:]))
        return 0
    if words == ["echo", "$?"]:
        print(last)  # noqa: T201  # it is a shell
        return 0
    command, _, reader = line.partition(_PIPE)
    if words[0] == "terra-hub" and not _FOR_BASH & set(command):
        return piped(shlex.split(command)[1:], reader) if reader else forked(words[1:])
    return subprocess.run(["bash", "-c", line], check=False).returncode


def piped(arguments: list[str], reader: str) -> int:
    """Run ``terra-hub … | reader`` and return the reader's exit code, as a shell does."""
    other = subprocess.Popen(["bash", "-c", reader], stdin=subprocess.PIPE)
    assert other.stdin
    forked(arguments, other.stdin.fileno())
    other.stdin.close()
    return other.wait()


def forked(arguments: list[str], stdout: int | None = None) -> int:
    """Run ``terra-hub`` in a fork of this process, its output perhaps into a pipe; return its exit code."""
    from terra_hub.management.commands.hub import finish

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is meant for the command
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if stdout is not None:
        os.dup2(stdout, 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # for as long as the process lives
    try:
        _take_public_url()
        code = finish(arguments, "terra-hub")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _take_public_url() -> None:
    from django.conf import settings

    if os.path.exists(PUBLIC_URL):  # loaded in each fork
        with open(PUBLIC_URL) as file:
            settings.PUBLIC_URL = file.read()


if __name__ == "__main__":
    main()
