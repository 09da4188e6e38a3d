"""Take documents and variables in camelCase for the schema's snake_case.

The earlier service answered both spellings, and its clients use both. A field that is renamed keeps
its own spelling in the reply by an alias.
"""

import re
from typing import Any, Final

from graphql import (
    ArgumentNode,
    FieldNode,
    NameNode,
    ObjectFieldNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_INTROSPECTION: Final = re.compile(r"\b__(schema|type)\b")


def snake_case(name: str) -> str:
    """Return a name in snake_case; one that begins with a capital letter, such as Date, stays."""
    if not name[:1].islower():
        return name
    return _HUMP.sub("_", name).lower()


def snake_case_document(document: str) -> str:
    """Return a document with names in snake_case and aliases for what its client expects.

    Introspection is left as it is: its fields are in camelCase.

    Raises
    ------
    graphql.GraphQLSyntaxError
        If it is not a document.
    """
    if _INTROSPECTION.search(document):
        return document
    return print_ast(visit(parse(document, max_tokens=MAX_TOKENS), _Renamer()))


def snake_case_values(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return variables with the names of input objects in snake_case, at every depth."""
    if isinstance(value, dict):
        return {snake_case(name): snake_case_values(item) for name, item in value.items()}
    if isinstance(value, list):
        return [snake_case_values(item) for item in value]
    return value


MAX_TOKENS: Final = 2_000
"""Tokens of a document."""


class _Renamer(Visitor):
    """Rename fields, arguments and fields of input objects."""

    def enter_field(self, node: FieldNode, *_: object) -> FieldNode | None:
        name = node.name.value
        if name.startswith("__") or snake_case(name) == name:
            return None
        alias = node.alias or NameNode(value=name)
        return FieldNode(
            alias=alias,
            name=NameNode(value=snake_case(name)),
            arguments=node.arguments,
            directives=node.directives,
            selection_set=node.selection_set,
        )

    def enter_argument(self, node: ArgumentNode, *_: object) -> ArgumentNode | None:
        name = snake_case(node.name.value)
        if name == node.name.value:
            return None
        return ArgumentNode(name=NameNode(value=name), value=node.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> ObjectFieldNode | None:
        name = snake_case(node.name.value)
        if name == node.name.value:
            return None
        return ObjectFieldNode(name=NameNode(value=name), value=node.value)
