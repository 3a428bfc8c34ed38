"""`{% fragment %}`: a part of a page that is kept for all, or for one user."""

from typing import Any
from urllib.parse import quote

from django import template
from django.contrib.auth.context_processors import PermWrapper
from django.contrib.auth.models import AnonymousUser
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.utils.safestring import SafeString, mark_safe

from caching import dependencies
from caching.levels import FRAGMENTS

register = template.Library()


class FragmentNode(template.Node):
    """What stands between `{% fragment %}` and `{% endfragment %}`."""

    def __init__(self, nodelist: NodeList, name: FilterExpression, vary: list[FilterExpression]) -> None:
        self.nodelist = nodelist
        self._name = name
        self._vary = vary

    def render(self, context: template.Context) -> SafeString:
        """Return the kept text, or make it."""
        parts = [quote(str(one.resolve(context)), safe="") for one in (self._name, *self._vary)]

        def make() -> str:
            # Nothing of one visitor may get into what others see.
            with context.push(**_nobody()):
                return str(self.nodelist.render(context))

        kept: str = FRAGMENTS.fetch(":".join(parts), make)
        return mark_safe(kept)  # noqa: S308  # the template has escaped it


def _nobody() -> dict[str, Any]:
    nobody = AnonymousUser()
    return {"user": nobody, "perms": PermWrapper(nobody), "request": None, "csrf_token": "", "messages": ()}


@register.tag
def fragment(parser: Parser, token: Token) -> FragmentNode:
    """Keep what stands inside, under a name and all that it hangs on: `{% fragment "blog.list" page.number %}`.

    Inside nobody is logged in and there is no request. What is told there, or while it's made, by `depends_on` moves it
    on. Values are best lazy, so that they cost nothing where the part is kept.
    """
    _, *words = token.split_contents()
    if not words:
        raise template.TemplateSyntaxError('Give the part a name: {% fragment "blog.list" page.number %}')
    name, *vary = (parser.compile_filter(word) for word in words)
    nodelist = parser.parse(("endfragment",))
    parser.delete_first_token()
    return FragmentNode(nodelist, name, vary)


@register.simple_tag
def depends_on(kind: str, object_id: object = None) -> str:
    """Say that the page shows a thing: `{% depends_on "blog.post" post.pk %}`."""
    dependencies.depends_on(kind, object_id)
    return ""
