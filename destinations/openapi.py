"""The OpenAPI schema of destinations: a named shape of config and of credentials per type, tied to the type's name."""

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent

from destinations.registry import adapter_class, type_names
from destinations.rules import Kind
from destinations.specs import SpecField, condition, spec_fields

KIND_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


class ConfigScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped library
    """A config: one of the types' shapes. Which one it is says the type beside it."""

    target_class = "destinations.serializers.ConfigField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return ``anyOf`` with a reference per type: host, database and user name fit both SQL types."""
        return {"anyOf": _references(auto_schema, "Config", lambda kind: object_schema(kind.config_spec))}


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


class _TypedScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # untyped library
    """A destination: its ``type`` says which shapes its other parts have."""

    parts: ClassVar[tuple[str, ...]] = ("Config",)

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return the object with ``oneOf``: per type, its name and the shapes that belong to it."""
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "oneOf": [self._shape_of(name) for name in type_names()]}

    def _shape_of(self, name: str) -> dict[str, Any]:
        parts = {part.lower(): {"$ref": f"#/components/schemas/{_component(name, part)}"} for part in self.parts}
        return {"title": adapter_class(name).label, "properties": {"type": {"const": name}, **parts}}


class DestinationScheme(_TypedScheme):  # type: ignore[no-untyped-call]  # untyped library
    """A destination as it is shown."""

    target_class = "destinations.serializers.DestinationSerializer"
    match_subclasses = True


class DestinationCreateScheme(_TypedScheme):  # type: ignore[no-untyped-call]  # untyped library
    """A destination as it is sent."""

    target_class = "destinations.serializers.DestinationCreateSerializer"
    parts = ("Config", "Credentials")


def _component(type_name: str, suffix: str) -> str:
    return f"{type_name.capitalize()}{suffix}"


def _references(auto_schema: Any, suffix: str, schema_of: Callable[[Kind], dict[str, Any]]) -> list[Any]:
    references = []
    for name in type_names():
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # untyped library
            name=_component(name, suffix),
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
        _let_be_null(field)
        field.pop("default", None)
    return schema


def _let_be_null(field: dict[str, Any]) -> None:
    field["type"] = list(dict.fromkeys([*_kinds(field["type"]), "null"]))


def _kinds(of: str | list[str]) -> list[str]:
    return of if isinstance(of, list) else [of]


def object_schema(spec: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a config or credentials dataclass."""
    fields = spec_fields(spec)
    required = [field.name for field in fields if field.required and not field.about.only_if]
    properties = {field.name: field_schema(field) for field in fields}
    for name, one in properties.items():
        if name not in required and "enum" not in one:
            _let_be_null(one)  # as good as leaving it out
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def field_schema(field: SpecField) -> dict[str, Any]:
    """Return the JSON schema of one field, from its kind and its option."""
    about = field.about
    schema: dict[str, Any] = {
        # What has a reader may come as the JSON object itself.
        "type": [KIND_NAMES[field.kind], "object"] if about.reader else KIND_NAMES[field.kind],
        "title": about.label,
        "description": _description(field),
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


def _description(field: SpecField) -> str:
    """Return the help, and when the field is asked for: more than ``required`` can say."""
    only_if = field.about.only_if
    if only_if is None:
        return field.about.help
    return f"{'Required' if field.required else 'Used'} where {condition(only_if)}. {field.about.help}".strip()
