"""What the API says of itself: types and their fields, the schema, the page for people."""

import re
from typing import Any

import pytest
import yaml
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from destinations.registry import adapter_classes
from tests.api_support import CANARY, DATABASE, Api, make_delivery, make_destination, make_event
from tests.hub import ROOT
from tests.test_api_destinations import HOOK, TABLES
from webhooks.api.docs import DocsView

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


def test_types_say_what_each_field_is(api: Api) -> None:
    answer = api.get("destination-types")

    types = {one["type"]: one for one in answer["data"]}
    assert (answer["has_more"], answer["next_cursor"]) == (False, None)
    assert list(types) == [kind.type for kind in adapter_classes()]
    password = {field["name"]: field for field in types["postgres"]["credentials"]}["password"]
    assert (password["required"], password["secret"], password["kind"]) == (True, True, "string")
    mode = {field["name"]: field for field in types["postgres"]["config"]}["ssl_mode"]
    assert "verify-full" in [choice["value"] for choice in mode["choices"]]
    assert (mode["default"], mode["required"], mode["label"]) == ("verify-full", False, "TLS")


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema as the hub serves it: made once, for it takes seconds, and no test changes it."""
    schema = Client().get("/api/v1/schema", HTTP_ACCEPT="application/json").json()
    validate_schema(schema)
    return schema


def test_the_schema_has_one_shape_of_config_and_credentials_per_type(schema: Any) -> None:
    create = schema["components"]["schemas"]["DestinationCreate"]["properties"]

    for part in ("config", "credentials"):
        names = [shape["$ref"].rpartition("/")[2] for shape in create[part]["anyOf"]]
        assert names == [f"{kind.type.capitalize()}{part.capitalize()}" for kind in adapter_classes()]
    postgres = schema["components"]["schemas"]["PostgresConfig"]
    assert set(postgres["required"]) == {"host", "database", "username"}
    assert postgres["properties"]["port"]["maximum"] == 65535
    assert schema["components"]["schemas"]["PostgresCredentials"]["properties"]["password"]["format"] == "password"
    assert "required" not in schema["components"]["schemas"]["PostgresConfigPatch"]


MINIMAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "webhook": ({"url": "https://example.com/hook"}, {}),
    "postgres": (DATABASE, {"password": CANARY}),
    "mysql": (DATABASE, {"password": CANARY}),
    "supabase": ({"project_url": "https://example.supabase.co"}, {"api_key": "sb_secret_of_nobody"}),
    "s3": ({"bucket": "a-bucket", "region": "eu-west-1"}, {"access_key_id": "AKIA", "secret_access_key": CANARY}),
    "gcs": ({"bucket": "a-bucket"}, {"service_account_key": {"type": "service_account"}}),
    "azureblob": ({"account": "anaccount", "container": "a-container"}, {"sas_token": CANARY}),
    "sqs": (
        {"queue": "123456789012/terra", "region": "eu-west-1"},
        {"access_key_id": "AKIA", "secret_access_key": "x"},
    ),
}


def fits(schema: Any, name: str, value: Any) -> bool:
    """Tell whether a value has a named shape of the schema."""
    return Draft202012Validator({**schema, "$ref": f"#/components/schemas/{name}"}).is_valid(value)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_body_fits_the_schema_of_its_own_type_and_of_no_other(schema: Any, name: str) -> None:
    config, credentials = MINIMAL[name]
    body = {"type": name, "name": "x", "config": config, "credentials": credentials}

    assert fits(schema, "DestinationCreate", body)
    assert not fits(schema, "DestinationCreate", {**body, "type": "carrier-pigeon"})
    assert not fits(schema, "DestinationCreate", {**body, "config": {**config, "unknown": 1}})
    for other, (elsewhere, _) in MINIMAL.items():
        alike = {name, other} == {"postgres", "mysql"} or other == name
        assert fits(schema, "DestinationCreate", {**body, "config": elsewhere}) is alike, other


def test_an_answer_fits_the_schema(api: Api, schema: Any) -> None:
    made = api.post("destinations", {**TABLES, "config": DATABASE, "credentials": {"password": CANARY}}, 201)

    assert fits(schema, "DestinationCreated", made)
    assert fits(schema, "Destination", api.get(f"destinations/{made['id']}"))
    assert not fits(schema, "Destination", {**api.get(f"destinations/{made['id']}"), "type": "webhook"})


def test_the_schema_that_is_committed_is_the_one_of_the_code(schema: Any) -> None:
    committed = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())

    assert committed == schema, "the API has changed: run `make openapi`, look at what differs, and commit it"


def test_it_says_what_it_is_where_keys_come_from_and_what_each_group_is(schema: Any, client: Client) -> None:
    used = {tag for methods in schema["paths"].values() for one in methods.values() for tag in one["tags"]}
    names = [tag["name"] for tag in schema["tags"]]

    assert set(names) == used
    assert len(names) == len(used)
    assert names[:3] == ["destinations", "destination-types", "sources"]
    assert all(tag["description"] for tag in schema["tags"])
    assert [one["url"] for one in schema["servers"]] == ["/"]
    for word in ("Terra", "hub keys add", "Authorization: Bearer", "docs/api.md"):
        assert word in schema["info"]["description"]
    for path in re.findall(r"\]\((/[^)]+)\)", schema["info"]["description"]):
        assert client.get(path).status_code == 302, "the log-in, and then the page"
    for path in re.findall(r"`(docs/[^`]+)`", schema["info"]["description"]):
        assert (ROOT / path).is_file()


def test_every_operation_says_all_that_a_caller_has_to_know(schema: Any) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            parameters = {parameter["name"] for parameter in operation["parameters"]}
            assert all(operation[part] for part in ("summary", "description", "tags", "security")), name
            assert operation["x-required-scope"], name
            assert {"401", "403", "429"} <= operation["responses"].keys(), name
            assert ("dry_run" in parameters) is (method != "get"), name
            assert ("Idempotency-Key" in parameters) is (method == "post"), name
            one = path.startswith("/api/v1/destinations/{id}")
            assert ("If-Match" in parameters) is ("412" in operation["responses"]) is (one and method != "get"), name


def test_an_answer_has_the_fields_that_the_schema_says(api: Api, schema: Any) -> None:
    made = api.post("destinations", HOOK, 201)
    event = make_event()
    delivery = make_delivery(event, make_destination("second"))

    for name, shown in {
        "DestinationCreated": made,
        "Destination": api.get(f"destinations/{made['id']}"),
        "EventDetail": api.get(f"events/{event.pk}"),
        "DeliveryDetail": api.get(f"deliveries/{delivery.pk}"),
    }.items():
        assert set(schema["components"]["schemas"][name]["properties"]) == set(shown), name


def test_the_page_for_people_loads_everything_from_this_server(rf: Any) -> None:
    page = DocsView.as_view()(rf.get("/api/docs/")).render().content.decode()
    script = DocsView.as_view()(rf.get("/api/docs/?script=")).render().content.decode()

    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) >= 4
    assert all(source.startswith("/") for source in sources), sources
    assert re.findall(r"<script(?![^>]*src=)", page) == [], "the content security policy allows no script in the page"
    assert "/api/v1/schema" in script.replace("\\u002D", "-")
