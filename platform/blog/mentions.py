"""Who is spoken to in a comment: `@username`, but not in code or in an address."""

import re

from accounts.models import User
from blog import limits

_CODE = re.compile(r"(`+|~{3,}).*?\1", re.DOTALL)
_MENTION = re.compile(r"(?<![\w@/.+-])@([\w.+-]{1,150})")


def mentioned_in(text: str) -> list[User]:
    """Return who is mentioned in a Markdown text, each once; of many the first ones."""
    words = (match.rstrip(".-+") for match in _MENTION.findall(_CODE.sub(" ", text)))
    names = list(dict.fromkeys(word for word in words if word))[: limits.MENTIONS_OF_A_COMMENT]
    if not names:
        return []
    return list(User.objects.filter(username__in=names, is_active=True).order_by("pk"))
