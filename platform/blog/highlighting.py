"""Code blocks coloured on the server: Pygments' short class names, which `site.css` gives their colours."""

from functools import lru_cache

from markdown_it.common.utils import escapeHtml
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

# The class names that coloured code may carry.
CODE_CLASSES = frozenset(name for name in STANDARD_TYPES.values() if name)
# A lexer's regular expressions can be slow on odd input: larger blocks stay plain.
_LARGEST_BLOCK_CHARACTERS = 50_000
_FORMATTER = HtmlFormatter(nowrap=True)


def language_of(info: str) -> str:
    """Return the language named by a fence's info string, such as `rust` of `rust,ignore`; empty where none is."""
    words = info.replace(",", " ").replace("{", " ").split()
    return words[0].lower() if words else ""


def highlight_code(code: str, info: str, attributes: str = "") -> str:
    """Return `code` as HTML, escaped, with a span for each token where the language is known."""
    lexer = _lexer(language_of(info)) if len(code) <= _LARGEST_BLOCK_CHARACTERS else None
    return highlight(code, lexer, _FORMATTER) if lexer else escapeHtml(code)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
