"""What the API reads."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

DEEPEST_JSON = 32


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it: no NaN, UTF-8, and no deeper than any of our views needs."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body.

        Raises:
            ParseError: the body is no JSON, or nested too deeply.
        """
        try:
            value = super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
        except RecursionError:
            raise ParseError(f"The JSON is nested more than {DEEPEST_JSON} levels deep.") from None
        if _is_deeper_than(DEEPEST_JSON, value):
            raise ParseError(f"The JSON is nested more than {DEEPEST_JSON} levels deep.")
        return value


def _is_deeper_than(levels: int, value: Any) -> bool:
    """Whether lists and objects are nested deeper than that; a loop over the levels, since deep input is the point."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
