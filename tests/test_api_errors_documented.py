"""docs/api-errors.md has every code that an error of the API can have, with its status."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from rest_framework import exceptions

from destinations import problems
from tests.hub import ROOT

pytestmark = pytest.mark.databaseless
# What Django REST Framework itself answers, through destinations.problems.
LIBRARY = {
    "invalid": 400, "parse_error": 400, "authentication_failed": 401, "not_authenticated": 401,
    "permission_denied": 403, "csrf_failed": 403, "not_found": 404, "method_not_allowed": 405, "not_acceptable": 406,
    "unsupported_media_type": 415,
}  # fmt: skip


def documented() -> dict[str, int]:
    text = (ROOT / "docs" / "api-errors.md").read_text()
    return {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", text, re.MULTILINE)}


def in_the_code() -> dict[str, int]:
    found = dict(LIBRARY)
    for app in ("destinations", "webhooks"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if "adapters" not in path.parts and path.name != "endpoint.py":
                for node in ast.walk(ast.parse(path.read_text())):
                    found.update(codes_of(node))
    return found


def codes_of(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the codes with their statuses that a piece of code makes."""
    if isinstance(node, ast.ClassDef):
        own = {
            target.id: item.value.value
            for item in node.body
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
            for target in item.targets
            if isinstance(target, ast.Name)
        }
        if isinstance(own.get("default_code"), str) and isinstance(own.get("status_code"), int):
            yield str(own["default_code"]), int(str(own["status_code"]))
        elif "default_code" in own:
            yield str(own["default_code"]), int(exceptions.APIException.status_code)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        code = next((one.value for one in node.keywords if one.arg == "code"), None)
        code = code or (node.args[1] if name in ("Refused", "problem") and len(node.args) > 1 else None)
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            if name == "Refused":
                yield code.value, problems._REFUSED_STATUS.get(code.value, 400)
            if name == "PermissionDenied":
                yield code.value, 403
            if name == "problem" and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, int):
                yield code.value, node.args[0].value


def test_every_code_is_documented_with_its_status() -> None:
    documents, code = documented(), in_the_code()
    lacking = [f"| `{name}` | {code[name]} | …" for name in sorted(code) if documents.get(name) != code[name]]

    assert lacking == [], "docs/api-errors.md needs these rows"
    assert sorted(documents.keys() - code.keys()) == [], "docs/api-errors.md tells of codes that are no more"
    assert len(code) > 40
    assert all(HTTPStatus(status) for status in documents.values())
