"""Items in YAML, read one by one (spec items-and-query §9.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import yaml

from tabulary.core.errors import InvalidPayload

_Base: Any = getattr(yaml, "CParser", None)
_PARTS: Any = (
    (_Base, yaml.composer.Composer, yaml.constructor.SafeConstructor, yaml.resolver.Resolver)
    if _Base
    else (yaml.SafeLoader,)
)


class _YamlReader(*_PARTS):  # type: ignore[misc]
    """The safe loader without dates (a date stays the text that it is in JSON) and without aliases."""

    def __init__(self, source: BinaryIO) -> None:
        _PARTS[0].__init__(self, source)
        for part in _PARTS[1:]:
            part.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise InvalidPayload("YAML aliases are not accepted")
        return super().compose_node(parent, index)


_YamlReader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.resolver.Resolver.yaml_implicit_resolvers.items()
}


def yaml_items(source: BinaryIO) -> Iterator[dict[str, Any]]:
    """The items of a file that holds one list of them. Raises :class:`InvalidPayload` where it is broken."""
    reader = _YamlReader(source)
    try:
        for kind in (yaml.events.StreamStartEvent, yaml.events.DocumentStartEvent, yaml.events.SequenceStartEvent):
            if not reader.check_event(kind):
                raise InvalidPayload("The file has to hold a YAML list of items")
            reader.get_event()
        number = 0
        while not reader.check_event(yaml.events.SequenceEndEvent):
            number += 1
            item = reader.construct_document(reader.compose_node(None, None))
            if not isinstance(item, dict):
                raise InvalidPayload(f"Item {number} is not an object")
            yield {str(key): value for key, value in item.items()}
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise InvalidPayload(f"The file is not valid YAML: {' '.join(str(problem).split())[:300]}") from None
    finally:
        reader.dispose()
