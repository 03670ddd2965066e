"""The OpenAPI schema of config and credentials: one named shape per destination type."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent

from destinations.registry import adapter_class, type_names
from destinations.rules import Kind
from destinations.specs import SpecField, spec_fields

KIND_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


class ConfigScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped library
    """A config: one of the types' shapes."""

    target_class = "destinations.serializers.ConfigField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return ``oneOf`` with a reference per type."""
        return {"oneOf": _references(auto_schema, "Config", lambda kind: object_schema(kind.config_spec))}


class ConfigPatchScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped library
    """Some fields of a config."""

    target_class = "destinations.serializers.ConfigPatchField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return ``anyOf`` with a reference per type: a few fields may fit several."""
        return {"anyOf": _references(auto_schema, "ConfigPatch", lambda kind: patch_schema(kind.config_spec))}


class CredentialsScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped library
    """Credentials, as they are sent: one of the types' shapes."""

    target_class = "destinations.serializers.CredentialsField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return ``anyOf`` with a reference per type: no credentials at all may fit several."""
        shapes = _references(auto_schema, "Credentials", lambda kind: object_schema(kind.credentials_spec))
        return {"anyOf": shapes, "writeOnly": True}


class CredentialsPatchScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped library
    """Some of the credentials, as they are sent."""

    target_class = "destinations.serializers.CredentialsPatchField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return ``anyOf`` with a reference per type."""
        shapes = _references(auto_schema, "CredentialsPatch", lambda kind: patch_schema(kind.credentials_spec))
        return {"anyOf": shapes, "writeOnly": True}


def _references(auto_schema: Any, suffix: str, schema_of: Callable[[Kind], dict[str, Any]]) -> list[Any]:
    references = []
    for name in type_names():
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # untyped library
            name=f"{name.capitalize()}{suffix}",
            type=ResolvedComponent.SCHEMA,
            object=f"{name}.{suffix}",
            schema=schema_of(adapter_class(name)),
        )
        auto_schema.registry.register_on_missing(component)
        references.append(component.ref)
    return references


def patch_schema(spec: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of some fields of a dataclass; null takes one away."""
    schema = object_schema(spec)
    schema.pop("required", None)
    for field in schema["properties"].values():
        field["type"] = [field["type"], "null"]
        field.pop("default", None)
    return schema


def object_schema(spec: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a config or credentials dataclass."""
    fields = spec_fields(spec)
    schema = {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in fields},
        "additionalProperties": False,
    }
    required = [field.name for field in fields if field.required]
    return schema | ({"required": required} if required else {})


def field_schema(field: SpecField) -> dict[str, Any]:
    """Return the JSON schema of one field, from its kind and its option."""
    about = field.about
    schema: dict[str, Any] = {
        "type": KIND_NAMES[field.kind],
        "title": about.label,
        "description": about.help,
        "default": None if about.secret else field.default,
        "enum": [value for value, _ in about.choices],
        "minimum": about.minimum,
        "maximum": about.maximum,
    }
    if field.kind is str:
        schema |= {
            "maxLength": about.max_length,
            "pattern": about.pattern,
            "format": "password" if about.secret else "",
        }
    if field.kind is dict:
        schema["additionalProperties"] = {"type": "string"}
    return {name: value for name, value in schema.items() if value not in (None, "", [])}
