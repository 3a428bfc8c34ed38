"""Comments that somebody reported: looked at by a moderator, who decides; all of it is in the ledger."""

from django.db import IntegrityError, transaction
from django.utils import timezone

import audit
from accounts.models import User
from blog import limits, rules
from blog.actions.comments import locked_comment, remove
from blog.errors import InvalidError
from blog.models import Comment, Report
from notifications.actions import request_notification

DECISIONS = {
    Report.Decision.DISMISSED: "left as it is",
    Report.Decision.HIDDEN: "hidden",
    Report.Decision.DELETED: "deleted",
}


def report_comment(comment: Comment, *, actor: User, reason: str, note: str = "") -> Report:
    """Tell moderators of a comment; who has done so already is told that.

    Raises:
        InvalidError: on `reason` or `note`.
    """
    rules.require(rules.can_report_comment, actor, comment, action="report_comment")
    if reason not in Report.Reason.values:
        raise InvalidError(reason=f"Give one of: {', '.join(Report.Reason.values)}.")
    note = " ".join(note.split())
    if "\x00" in note or len(note) > limits.REPORT_CHARACTERS:
        raise InvalidError(note=f"At most {limits.REPORT_CHARACTERS} characters, and no NUL among them.")
    try:
        with transaction.atomic():
            return Report.objects.create(comment=comment, reporter=actor, reason=reason, note=note)
    except IntegrityError as error:
        if Report.objects.filter(comment=comment, reporter=actor, decision=Report.Decision.OPEN).exists():
            raise InvalidError(reason="You reported this comment already; a moderator will look at it.") from error
        raise


def decide_reports(
    comment: Comment, *, actor: User, decision: str, note: str = "", is_as_read: bool = False
) -> Comment:
    """Leave a comment as it is, hide it or delete it, and close what was reported of it; those concerned are told.

    Raises:
        InvalidError: on `decision`, where it's none.
        OvertakenError: with `is_as_read`, where the comment isn't any more what `comment` says.
    """
    rules.require(rules.can_moderate_comment, actor, comment, action="decide_reports")
    if decision not in DECISIONS:
        raise InvalidError(decision=f"Give one of: {', '.join(DECISIONS)}.")
    with transaction.atomic(), audit.reason(note or f"moderation: {decision}"):
        comment = locked_comment(comment, is_as_read=is_as_read)
        rules.require(rules.can_moderate_comment, actor, comment, action="decide_reports")
        reports = list(comment.reports.filter(decision=Report.Decision.OPEN).select_related("reporter"))
        is_changed = _carry_out(comment, decision)
        now = timezone.now()
        comment.reports.filter(pk__in=[report.pk for report in reports]).update(
            decision=decision, decided_by=actor, decided_at=now
        )
        _tell(comment, reports, actor, decision, note, is_changed=is_changed)
    return comment


def show_comment(comment: Comment, *, actor: User, is_as_read: bool = False) -> Comment:
    """Show a hidden comment again.

    Raises:
        OvertakenError: with `is_as_read`, where it isn't any more what `comment` says.
    """
    rules.require(rules.can_moderate_comment, actor, comment, action="show_comment")
    with transaction.atomic():
        comment = locked_comment(comment, is_as_read=is_as_read)
        if comment.state == Comment.State.HIDDEN:
            comment.state = Comment.State.VISIBLE
            comment.save(update_fields=["state"])
    return comment


def _carry_out(comment: Comment, decision: str) -> bool:
    """Do to a locked comment what was decided; returns whether anything was to be done."""
    if decision == Report.Decision.HIDDEN and comment.is_visible:
        comment.state = Comment.State.HIDDEN
        comment.save(update_fields=["state"])
    elif decision == Report.Decision.DELETED and comment.state != Comment.State.DELETED:
        remove(comment)
    else:
        return False
    return True


def _tell(comment: Comment, reports: list[Report], actor: User, decision: str, note: str, *, is_changed: bool) -> None:
    title, url = comment.post.title, comment.post.get_absolute_url()
    done = DECISIONS[Report.Decision(decision)]
    if is_changed:
        said = f"A moderator has {done} your comment on “{title}”"
        request_notification(comment.author, kind="moderation", actor=actor, title=said, url=url, body=note[:500])
    for report in reports:
        said = f"The comment that you reported on “{title}” was {done}"
        request_notification(report.reporter, kind="moderation", actor=actor, title=said, url=url)
