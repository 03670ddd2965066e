"""Reads Terraform's language: with a parser of its own, and with Terraform itself where it is installed."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import hcl2

from destinations.identity import HubIdentity

HUB = HubIdentity("0198f3c2-7b7e-7c3a-9a52-0d4f6f0f9b11", "arn:aws:iam::111122223333:user/hub")


def parsed(text: str) -> Mapping[str, Any]:
    """Return a module as its parser reads it."""
    read: Mapping[str, Any] = hcl2.loads(text)
    return read


def resources(text: str) -> dict[str, Mapping[str, Any]]:
    """Return every resource of a module by its kind and name; strings without their quotation marks."""
    found = {}
    for one in parsed(text).get("resource", []):
        for kind, named in one.items():
            for name, body in named.items():
                found[f"{_bare(kind)}.{_bare(name)}"] = {key: _bare(value) for key, value in body.items()}
    return found


def _bare(value: Any) -> Any:
    return value.strip('"') if isinstance(value, str) else value


def formatted(text: str) -> str:
    """Return the text as ``terraform fmt`` lays it out; as it is where there is no Terraform."""
    found = shutil.which("terraform")
    if not found:
        return text
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        [found, "fmt", "-"], input=text, capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return done.stdout
