"""What leads on from a story: the request again as curl, and other tools' pages of its trace."""

import shlex
from urllib.parse import quote

from ops.story import Story
from telemetry import conf

_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def as_curl(story: Story, base_url: str) -> str:
    """Return the request as a command line; empty where it was none by HTTP.

    Bodies, queries and credentials aren't kept: whoever repeats it puts them in.
    """
    path, method = story.summary.get("path"), story.summary.get("method")
    if not path or not method:
        return ""
    parts = ["curl", "-i"]
    if method == "HEAD":
        parts.append("-I")
    elif method != "GET":
        parts += ["-X", str(method)]
    parts.append(shlex.quote(base_url.rstrip("/") + quote(str(path), safe="/:@!$&'()*+,;=~%-._")))
    line = " ".join([*parts, '-H "Authorization: Bearer $TOKEN"'])
    return f"{line} --data @body" if method in _UNSAFE else line


def elsewhere(story: Story) -> list[tuple[str, str]]:
    """Return names and addresses of the trace in other tools (`TELEMETRY_TRACE_LINKS`), as far as they are set."""
    trace_id = str(story.summary.get("trace_id") or "")
    if not trace_id:
        return []
    return [
        (name, address.replace("{trace_id}", trace_id).replace("{request_id}", story.request_id))
        for name, address in conf.trace_links().items()
    ]
