"""Pages for everybody: home, the archive and its shelves, a post with its comments."""

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from accounts.models import User
from blog import limits, queries, rules
from blog.caching import counts, lists
from blog.caching.kinds import CATEGORY, TAG
from blog.forms import BlogForm, CommentForm, ReviewForm
from blog.models import Category, Comment, Post, Status
from blog.outlines import Outline
from blog.threads import as_text, rights_on, threads_on
from blog.views.answering import for_members, member, visible_comment
from caching.dependencies import depends_on
from caching.pages import shared_page

_LATEST_ON_HOME = 6


@require_safe
@shared_page()
def home(request: HttpRequest) -> HttpResponse:
    """Show what is new, and the ways in."""
    posts = lists.latest_posts(_LATEST_ON_HOME)
    return render(request, "blog/home.html", {"posts": posts, "can_write": rules.can_write_posts(request.user)})


@require_safe
@shared_page(parameters=["page"])
def archive(request: HttpRequest) -> HttpResponse:
    """List all published posts, newest first, by pages."""
    context = {
        "page": lists.page_of_posts(request.GET.get("page")),
        "categories": lists.categories(),
        "can_write": rules.can_write_posts(request.user),
    }
    return render(request, "blog/archive.html", context)


@require_safe
@shared_page(parameters=["page"])
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """List the published posts of a category."""
    found = get_object_or_404(Category, slug=slug)
    depends_on(CATEGORY, found.pk)
    told = {"title": found.name, "description": found.description, "kind": "Category"}
    return _listing(request, queries.posts_in(found), followed=found, **told)


@require_safe
@shared_page(parameters=["page"])
def tag(request: HttpRequest, slug: str) -> HttpResponse:
    """List the published posts with a tag; one that only drafts have isn't known to anybody."""
    found = get_object_or_404(queries.tags_in_use(), slug=slug)
    depends_on(TAG, found.pk)
    return _listing(request, queries.posts_tagged(found), title=found.name, kind="Tag")


@require_safe
@shared_page(parameters=["page"])
def author(request: HttpRequest, username: str) -> HttpResponse:
    """List the published posts of an author; who has none isn't known here."""
    found = get_object_or_404(User, username=username)
    posts = queries.posts_by(found)
    if not posts.exists():
        raise Http404
    return _listing(request, posts, followed=found, title=found.name, kind="Posts by")


def _listing(
    request: HttpRequest, posts: QuerySet[Post], *, followed: User | Category | None = None, **context: str
) -> HttpResponse:
    page = lists.page_of_shelf(posts, request.GET.get("page"))
    can_follow = followed is not None and rules.can_follow(request.user, followed)
    is_following = can_follow and followed is not None and queries.is_following(request.user, followed)
    rights = {"can_follow": can_follow, "is_following": is_following}
    return render(request, "blog/listing.html", {"page": page, **rights, **context})


@require_safe
@for_members
def drafts(request: HttpRequest) -> HttpResponse:
    """List the drafts that the visitor may see."""
    page = Paginator(queries.drafts_visible_to(member(request)), limits.POSTS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    return render(request, "blog/drafts.html", {"page": page, "can_write": rules.can_write_posts(request.user)})


@require_safe
@shared_page(parameters=["page"])
def post(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a post with a page of its comments."""
    return post_page(request, get_object_or_404(queries.posts_to_show(request.user), slug=slug))


@require_safe
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Lead from a comment's permanent link to where it stands now."""
    found = visible_comment(request, pk)
    number = queries.page_of_comment(found)
    page = f"?page={number}" if number > 1 else ""
    return redirect(f"{found.post.get_absolute_url()}{page}#comment-{found.pk}")


def post_page(
    request: HttpRequest, post: Post, *, form: BlogForm | None = None, review_form: BlogForm | None = None
) -> HttpResponse:
    """Show `post`; with a form that was refused, its errors and what was typed."""
    is_refused = form is not None or review_form is not None
    threads = counts.CountedPaginator(
        queries.threads_of(post), limits.COMMENTS_PER_PAGE, count=counts.thread_count(post)
    )
    page = threads.get_page(request.GET.get("page"))
    rights = rights_on(post, page, request.user)
    form = form or CommentForm()
    context = {
        "post": post,
        "outline": Outline(post),
        "page": page,
        "comment_count": counts.comment_counts([post.pk])[post.pk],
        "threads": SimpleLazyObject(lambda: threads_on(post, page, rights)),
        "rights": as_text(rights),
        "form": form,
        "answered": _answered(request, post, form),
        "is_following": queries.is_following(request.user, post),
        "can_edit": rules.can_edit_post(request.user, post),
        "can_publish": not post.is_published and rules.can_publish_post(request.user, post),
        "can_unschedule": post.is_scheduled and rules.can_unschedule_post(request.user, post),
        "can_unpublish": post.is_published and rules.can_unpublish_post(request.user, post),
        "can_request_review": post.status == Status.DRAFT and rules.can_edit_post(request.user, post),
        "can_see_history": rules.can_see_history(request.user, post),
        "can_review": rules.can_review_post(request.user, post),
        "review_form": review_form or ReviewForm(initial={"version": post.version}),
        "can_comment": rules.can_comment_on(request.user, post),
    }
    return render(request, "blog/post.html", context, status=400 if is_refused else 200)


def _answered(request: HttpRequest, post: Post, form: BlogForm) -> Comment | None:
    """Return the comment to which the form would reply."""
    wanted = form.data.get("parent") or request.GET.get("reply", "")
    if not request.user.is_authenticated or not wanted.isascii() or not wanted[:18].isdigit():
        return None
    found = queries.comments_of(post).filter(pk=int(wanted[:18])).first()
    return found if found and rules.can_reply_to(request.user, found) else None
