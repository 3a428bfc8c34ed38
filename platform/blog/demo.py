"""A blog to look at before anybody has written one: a dozen posts, and what the demo accounts say to them."""

from datetime import timedelta
from pathlib import Path

import audit
from accounts.models import User
from blog.actions import add_comment
from blog.importing.run import Report, import_directory
from blog.markdown import render_comment
from blog.models import Comment, Post

_POSTS = Path(__file__).parent / "demo_posts"

# The last part of the post's path, who says it, how many hours after it was published, and what. Hours of None: now,
# as a reader would, so that the author is notified.
_COMMENTS: tuple[tuple[str, str, int | None, str], ...] = (
    (
        "one-id-for-everything",
        "operator",
        5,
        "The retry that *the worker* schedules got us as well. Took a day to see.",
    ),
    ("one-id-for-everything", "reader", 26, "Is it safe to show the id to everyone? It's at the foot of each page."),
    (
        "one-id-for-everything",
        "developer",
        27,
        "Yes. It's a name, not a key: what it leads to is shown only to those who may see it anyway.",
    ),
    ("the-diff-belongs-to-the-database", "auditor", 3, "> Most exemptions didn't survive being written down.\n\nThis."),
    (
        "the-diff-belongs-to-the-database",
        "author",
        40,
        "How does the trigger know who it was? The database has one user for all of us.",
    ),
    (
        "the-diff-belongs-to-the-database",
        "developer",
        41,
        "The transaction is told before its first write: `SET LOCAL`. It's gone when the transaction is.",
    ),
    (
        "what-an-auditor-asks",
        "operator",
        8,
        "Number six made me look. We had nobody on that list, because there was no list.",
    ),
    ("what-an-auditor-asks", "reader", 50, "What do people say when you ask the fifth?"),
    ("what-an-auditor-asks", "auditor", 52, "“Let me get back to you on that.”"),
    ("alerts-that-wake-nobody-in-vain", "developer", 2, "What about the forty? Did anybody miss one?"),
    ("alerts-that-wake-nobody-in-vain", "operator", 4, "One. It's back, with a runbook."),
    ("fail-open-fail-closed", "moderator", 20, "I was one of those who took it for a bug. I take it back."),
    ("reading-a-waterfall", "developer", 12, "“Look at the gaps” is on a note on my screen now."),
    ("a-queue-is-a-promise", "operator", 9, "And the sweep has to run somewhere else than where the dying happens."),
    ("clocks", "auditor", 6, "I'd like to send this to three of my customers. May I?"),
    ("clocks", "author", 7, "Please do."),
    ("deny-loudly", "operator", 30, "The haystack warning comes from us, doesn't it."),
    ("the-page-that-shows-a-request", "reader", 15, "I can't open the link, but I like that it's there."),
    ("write-it-where-you-stand", "moderator", 11, "For the record, I did check."),
    ("write-it-where-you-stand", "reader", None, "Could the box also be offered when a post is unpublished?"),
)


def seed_demo_posts() -> Report:
    """Create the demo posts and their comments where they're missing; the demo accounts must exist.

    Raises:
        User.DoesNotExist: a demo account is missing.
    """
    with audit.reason("demo data"):
        report = import_directory(_POSTS)
        people = {user.username: user for user in User.objects.filter(username__in={row[1] for row in _COMMENTS})}
        posts = {path.rpartition("/")[2]: post for path, post in _posts_by_path().items()}
        for name, username, hours, text in _COMMENTS:
            author = people.get(username)
            if author is None:
                raise User.DoesNotExist(f"There is no demo account {username}.")
            _say(posts[name], author, text, hours)
    return report


def _posts_by_path() -> dict[str, Post]:
    posts = Post.objects.filter(source_path__startswith="demo/").select_related("author")
    return {str(post.source_path): post for post in posts}


def _say(post: Post, author: User, text: str, hours: int | None) -> None:
    if not post.is_published or post.comments.filter(author=author, body_markdown=text).exists():
        return
    if hours is None or post.published_at is None:
        add_comment(post, author=author, body=text)
        return
    said_at = post.published_at + timedelta(hours=hours)
    Comment.objects.create(
        post=post,
        author=author,
        body_markdown=text,
        body_html=render_comment(text),
        created_at=said_at,
        updated_at=said_at,
    )
