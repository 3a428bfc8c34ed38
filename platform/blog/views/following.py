"""Buttons by which people follow an author, a category or a post, and the list of what they follow."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from blog import actions, queries
from blog.actions.following import Followed
from blog.models import Category
from blog.views.answering import for_members, member, visible_post


@require_safe
@for_members
def following(request: HttpRequest) -> HttpResponse:
    """List what the visitor follows."""
    return render(request, "blog/following.html", {"subscriptions": queries.subscriptions_of(member(request))})


@require_POST
@for_members
def follow_author(request: HttpRequest, username: str) -> HttpResponse:
    """Follow an author, or no longer."""
    author: User = get_object_or_404(User, username=username)
    return _follow(request, author, author.name, reverse("blog:author", args=[username]))


@require_POST
@for_members
def follow_category(request: HttpRequest, slug: str) -> HttpResponse:
    """Follow a category, or no longer."""
    category = get_object_or_404(Category, slug=slug)
    return _follow(request, category, category.name, category.get_absolute_url())


@require_POST
@for_members
def follow_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Follow what is said to a post, or no longer."""
    post = visible_post(request, slug)
    return _follow(request, post, post.title, post.get_absolute_url())


def _follow(request: HttpRequest, what: Followed, name: str, page: str) -> HttpResponse:
    if "unfollow" in request.POST:
        actions.unfollow(what, actor=member(request))
        messages.success(request, f"You don't follow “{name}” any longer.")
    else:
        actions.follow(what, actor=member(request))
        messages.success(request, f"You follow “{name}” now. Under Notifications you choose how you are told.")
    return redirect(reverse("blog:following") if "from_list" in request.POST else page)
