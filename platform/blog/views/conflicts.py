"""Two people changed one post: what the other made of it, beside what was typed, so that nothing of either is lost."""

from dataclasses import dataclass
from datetime import datetime

from audit.history import states
from audit.reading import diffs
from audit.reading.diffs import Diff
from blog.actions.texts import normalised
from blog.forms import PostForm
from blog.models import Post


@dataclass(frozen=True, slots=True)
class Conflict:
    """Who changed the post in between, and how what was typed differs from what it says now."""

    who: str
    when: datetime
    differences: list[Diff]


def conflict_with(post: Post, form: PostForm) -> Conflict:
    """Return what stands against what `form` would save, and let it be saved all the same the next time."""
    form.data = {**{name: form.data[name] for name in form.data}, "version": post.version}
    labels = {"title": "Title", "description": "Description", "body": "Text"}
    now = {"title": post.title, "description": post.description, "body": post.body_markdown}
    typed = {name: normalised(str(form.cleaned_data.get(name) or "")) for name in now}
    found = [diffs.between(labels[name], now[name], typed[name]) for name in now if now[name] != typed[name]]
    (event,) = states.versions("blog.post", str(post.pk), limit=1).events or (None,)
    who = (event.actor_label if event else "") or "Somebody"
    return Conflict(who, event.recorded_at if event else post.updated_at, found)
