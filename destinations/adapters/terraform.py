"""Writes Terraform's language: the few forms that set-up texts need, laid out as ``terraform fmt`` does it."""

import json
from collections.abc import Iterable, Mapping, Sequence

# Attributes of a block, each with its expression; or a block in it.
Part = Mapping[str, str] | str


def quoted(text: str) -> str:
    """Return a string literal, in which nothing is a template: https://developer.hashicorp.com/terraform/language/expressions/strings."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def listed(texts: Iterable[str]) -> str:
    """Return a list of string literals."""
    return f"[{', '.join(map(quoted, texts))}]"


def block(header: str, *parts: Part) -> str:
    """Return a block; its parts stand apart by an empty line, and the signs of its attributes under each other."""
    inner = "\n\n".join(part if isinstance(part, str) else _attributes(part) for part in parts)
    body = "".join(f"  {line}\n" if line else "\n" for line in inner.splitlines())
    return f"{header} {{\n{body}}}"


def _attributes(values: Mapping[str, str]) -> str:
    longest = max(map(len, values))
    return "\n".join(f"{name:{longest}} = {value}" for name, value in values.items())


def resource(kind: str, name: str, *parts: Part) -> str:
    """Return a resource."""
    return block(f'resource "{kind}" "{name}"', *parts)


def data(kind: str, name: str, *parts: Part) -> str:
    """Return what is only looked up, or worked out."""
    return block(f'data "{kind}" "{name}"', *parts)


def variable(name: str, about: str, secret: bool = False) -> str:
    """Return a text that whoever applies the module gives."""
    return block(
        f'variable "{name}"',
        {"type": "string", "description": quoted(about)} | ({"sensitive": "true"} if secret else {}),
    )


def secret_output(name: str, value: str) -> str:
    """Return an output that Terraform shows only when it is asked for by name."""
    return block(f'output "{name}"', {"value": value, "sensitive": "true"})


def provider(name: str, source: str) -> str:
    """Return the line that says which provider a name is of, where it is none of HashiCorp's own."""
    return block("terraform", block("required_providers", block(f"{name} =", {"source": quoted(source)})))


def module(*parts: str, about: Sequence[str] = ()) -> str:
    """Return a whole file, under lines of comment."""
    comment = "".join(f"# {line}\n" for line in about)
    return comment + ("\n" if comment else "") + "\n\n".join(parts) + "\n"
