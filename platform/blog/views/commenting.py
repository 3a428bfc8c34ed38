"""What readers do with comments."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from blog import actions, rules
from blog.errors import InvalidError
from blog.forms import CommentForm
from blog.models import Comment
from blog.views.answering import for_members, member, visible_comment, visible_post
from blog.views.reading import post_page


@require_POST
@for_members
def add_comment(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a comment, and lead to it."""
    post = visible_post(request, slug)
    form = CommentForm(request.POST)
    if form.is_valid():
        try:
            comment = actions.add_comment(
                post,
                author=member(request),
                body=form.cleaned_data["body"],
                parent=Comment(pk=form.cleaned_data["parent"]) if form.cleaned_data["parent"] else None,
            )
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return redirect(comment)
    return post_page(request, post, form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def edit_comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the words of a comment."""
    comment = visible_comment(request, pk)
    rules.require(rules.can_edit_comment, request.user, comment, action="edit_comment")
    form = CommentForm(request.POST or None, initial={"body": comment.body_markdown})
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_comment(comment, actor=member(request), body=form.cleaned_data["body"])
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return redirect(comment)
    status = 400 if form.errors else 200
    return render(request, "blog/edit_comment.html", {"form": form, "comment": comment}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def delete_comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once more, then take a comment away."""
    comment = visible_comment(request, pk)
    rules.require(rules.can_delete_comment, request.user, comment, action="delete_comment")
    if request.method == "POST":
        actions.delete_comment(comment, actor=member(request))
        messages.success(request, "The comment is deleted.")
        return redirect(f"{comment.post.get_absolute_url()}#comments")
    return render(request, "blog/confirm_delete.html", {"comment": comment, "post": comment.post})
