"""Every operation of the API has an example, and a hub takes it and answers as the example says."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client
from jsonschema import Draft202012Validator

from destinations.apiwrites import SHOWN_ONCE
from tests.api_scene import BEFORE, make_scene
from tests.api_support import Api
from tests.hub import ROOT
from webhooks.api import examples

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]
SCHEMA = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
}
RECORDED = Path(examples.__file__).with_name("answers.json")
_JSON = "application/json"


def sent(name: str, client: Client, query: str = "") -> Any:
    """Send the example of an operation."""
    method, path, operation = OPERATIONS[name]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("example")
    for parameter in operation["parameters"]:
        path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example")))
    text = "" if body is None else json.dumps(body)
    return client.generic(method, path + query, text, _JSON)


def shape(value: Any) -> Any:
    """Return which members a value has, at any depth; of a list, of its first item."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_example_is_taken_and_answered_as_it_says(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    make_scene()
    BEFORE.get(name, lambda: None)()

    answer = sent(name, Api(superuser=True).client)

    assert f"{answer.status_code}" in operation["responses"], answer.content
    assert 200 <= answer.status_code < 300, f"write a better example in webhooks/api/examples.py: {answer.content!r}"
    content = operation["responses"][str(answer.status_code)].get("content", {}).get(_JSON)
    if content is None:
        return
    record(f"{name} {answer.status_code}", answer.json())
    assert "example" in content, "HUB_RECORD_EXAMPLES=1 runs this test and keeps what the hub answers as the example"
    for value in (answer.json(), content["example"]):
        errors = list(Draft202012Validator({**SCHEMA, **content["schema"]}).iter_errors(value))
        assert not errors
    assert shape(content["example"]) == shape(answer.json())


@pytest.mark.parametrize("name", [name for name, (method, _, _) in OPERATIONS.items() if method != "GET"])
def test_a_trial_of_it_changes_nothing(name: str) -> None:
    client: Client = Api(superuser=True).client
    make_scene()
    BEFORE.get(name, lambda: None)()
    rows = everything()

    answer = sent(name, client, "?dry_run=true")

    assert answer.status_code < 300, answer.content
    assert answer["Dry-Run"] == "true"
    assert not SHOWN_ONCE.intersection({} if answer.status_code == 204 else answer.json())
    assert everything() == rows


def everything() -> dict[str, list[Any]]:
    """Return every row of every table."""
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        found = {}
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(map(repr, cursor.fetchall()))
        return found


@pytest.mark.parametrize("name", [name for name, (_, _, one) in OPERATIONS.items() if "requestBody" in one])
def test_every_request_has_an_example_that_fits_its_schema(name: str) -> None:
    content = OPERATIONS[name][2]["requestBody"]["content"][_JSON]

    assert "example" in content, "add it to webhooks/api/examples.py"
    assert Draft202012Validator({**SCHEMA, **content["schema"]}).is_valid(content["example"])


def record(name: str, answer: Any) -> None:
    """Keep an answer as an example where that was asked for; moments and secrets are made-up ones."""
    if "HUB_RECORD_EXAMPLES" not in os.environ:
        return
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-03-12T06:00:00Z", json.dumps(answer))
    text = re.sub(r"whsec_[\w+/=]{20,}", "whsec_shown-this-once", text)
    text = re.sub(r"(hub_live_\w{8})_\w+", r"\1_shown-this-once", text)
    kept = {**json.loads(RECORDED.read_text()), name: json.loads(text)}
    RECORDED.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
