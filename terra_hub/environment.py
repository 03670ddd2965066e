"""How settings are read: from a variable ``NAME``, or from the file that ``NAME_FILE`` names, which wins."""

from pathlib import Path

import environ
from environ.fileaware_mapping import FileAwareMapping


class _Values(FileAwareMapping):
    """Variables, and files with one value each: the line break that ends a file is no part of the value."""

    def __init__(self) -> None:
        """Look at this process's environment."""
        super().__init__(cache=False)  # type: ignore[no-untyped-call]  # it has no types

    def __getitem__(self, key: str) -> str:
        """Return the value; raise ``OSError`` for a file that cannot be read, ``KeyError`` for neither."""
        file = self.env.get(f"{key}_FILE")
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n") if file else str(self.env[key])


class Environment(environ.Env):
    """Typed settings out of variables and files."""

    def __init__(self) -> None:
        """Take no scheme: each setting says its type where it is read."""
        super().__init__()  # type: ignore[no-untyped-call]  # it has no types
        self.ENVIRON = _Values()  # type: ignore[assignment]  # it is only read from
