"""Tells the API's schema what every operation answers where it can't do what was asked: problem details."""

from typing import Any

from config.problems import CONTENT_TYPE, INVALID

_STRING = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "properties": {
        "type": {
            **_STRING,
            "format": "uri",
            "description": f"`{INVALID}` where `errors` is there, else `about:blank`.",
        },
        "title": {**_STRING, "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_STRING, "description": "What is wrong, and how to mend it."},
        "instance": {**_STRING, "format": "uri-reference", "description": "The address that was asked."},
        "request_id": {**_STRING, "description": "What to quote; the same as `X-Request-ID`."},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": _STRING},
            "description": "Messages by field; what concerns no field is under `non_field_errors`.",
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "example": {
        "type": INVALID,
        "title": "Bad Request",
        "status": 400,
        "detail": "Some of what was sent isn't valid; see errors.",
        "instance": "/api/blog/posts/",
        "request_id": "01a214e09640756e92cefd668df0c891",
        "errors": {"title": ["This field is required."]},
    },
}


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give each operation the answer to all that isn't named; a hook of drf-spectacular's after generation."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    answer = {
        "description": "Any failure, with the request id.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("default", answer)
    return result
