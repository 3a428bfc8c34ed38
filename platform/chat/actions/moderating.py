"""Keeping order: messages are reported, reports resolved, people muted, banned and let in again."""

from datetime import timedelta
from typing import Literal

from django.db import transaction

from accounts.models import User
from chat import queries, rules
from chat.actions.log import lock
from chat.actions.messages import wipe_message
from chat.errors import ConflictError, InvalidError
from chat.models import Message, Report, ReportState, Restriction, RestrictionKind, Room
from notifications.actions import request_notification

Verdict = Literal["dismiss", "delete", "mute", "ban"]
VERDICTS: tuple[Verdict, ...] = ("dismiss", "delete", "mute", "ban")
MOST_OPEN_REPORTS = 20


@transaction.atomic
def report_message(message: Message, *, actor: User, reason: str) -> Report:
    """Ask the moderators to look at a message; the same once more is the report that is there already.

    Raises:
        InvalidError: no reason.
        ConflictError: it's deleted, or so many of theirs wait already.
        NotAllowedError: they may not enter the room, or said it themselves.
    """
    access = queries.access_to(actor, message.room)
    may = access is not None and access.can_enter and message.author_id != actor.pk
    rules.require(may, message, action="report_message")
    reason = _reason(reason)
    room = lock(message.room)
    message = room.messages.select_related("author").get(pk=message.pk)
    if message.is_deleted:
        raise ConflictError("The message is deleted already.")
    waiting = Report.objects.filter(reporter=actor, state=ReportState.OPEN)
    if existing := waiting.filter(message=message).first():
        return existing
    if waiting.count() >= MOST_OPEN_REPORTS:
        raise ConflictError(f"{MOST_OPEN_REPORTS} reports of yours wait already; let the moderators look first.")
    return Report.objects.create(message=message, reporter=actor, reason=reason, body=message.body)


@transaction.atomic
def resolve_report(
    report: Report, *, actor: User, verdict: Verdict, note: str = "", minutes: int | None = None
) -> Report:
    """Answer a report, and all others of the same message: dismiss it, or delete the message, and mute or ban its
    author in the room as well. Reporters and the author are told.

    Raises:
        NotAllowedError: the actor doesn't read reports.
        ConflictError: it's resolved already.
        InvalidError: there's no such verdict.
    """
    rules.require(rules.is_site_moderator(actor), report, action="resolve_report")
    if verdict not in VERDICTS:
        raise InvalidError(f"A verdict is one of {', '.join(VERDICTS)}.", field="action")
    room = lock(report.message.room)
    report = Report.objects.select_for_update(of=("self",)).select_related("message__author").get(pk=report.pk)
    if report.state != ReportState.OPEN:
        raise ConflictError("The report is resolved already.")
    message = report.message
    message.room = room
    if verdict != "dismiss" and not message.is_deleted:
        wipe_message(message)
        _tell(message.author, f"A message of yours in {room.name} was deleted by a moderator", room, actor, note)
    if verdict in ("mute", "ban"):
        _impose(message.author, room, verdict, note or report.reason, minutes, actor)
    for each in Report.objects.filter(message=message, state=ReportState.OPEN).select_related("reporter"):
        each.state = ReportState.DISMISSED if verdict == "dismiss" else ReportState.ACTED
        each.note, each.resolved_by, each.resolved_at = note[:500], actor, queries.now()
        each.save(update_fields=["state", "note", "resolved_by", "resolved_at"])
        told = "looked at, and left as it is" if verdict == "dismiss" else "acted on"
        _tell(each.reporter, f"Your report of a message in {room.name} was {told}", room, actor, note)
    report.refresh_from_db()
    return report


@transaction.atomic
def restrict(
    user: User, *, room: Room | None, kind: str, reason: str, actor: User, minutes: int | None = None
) -> Restriction:
    """Mute or ban somebody in a room, or in all where there's no room; open sockets of who is banned are closed.

    It takes the place of the same kind of restriction that is in force there.

    Raises:
        NotAllowedError: the actor doesn't moderate there, or it's somebody who does as well.
        InvalidError: no reason, or no such kind.
    """
    if kind not in RestrictionKind.values:
        raise InvalidError(f"A restriction is one of {', '.join(RestrictionKind.values)}.", field="kind")
    rules.require(_may_restrict(actor, user, room), room or user, action="restrict")
    return _impose(user, room, kind, _reason(reason), minutes, actor)


@transaction.atomic
def lift(restriction: Restriction, *, actor: User) -> Restriction:
    """End a mute or ban before its time.

    Raises:
        NotAllowedError: the actor doesn't moderate there.
    """
    rules.require(_may_restrict(actor, None, restriction.room), restriction, action="lift")
    restriction = Restriction.objects.select_for_update(of=("self",)).get(pk=restriction.pk)
    if restriction.lifted_at is None:
        restriction.lifted_at = queries.now()
        restriction.save(update_fields=["lifted_at"])
    return restriction


def _may_restrict(actor: User, user: User | None, room: Room | None) -> bool:
    if room is None:
        return rules.is_site_moderator(actor) and not (user and rules.is_site_moderator(user))
    access = queries.access_to(actor, room)
    if access is None or not access.can_moderate or room.is_direct:
        return False
    if user is None or access.can_own:
        return user is None or user.pk != actor.pk
    other = queries.access_to(user, room)
    return other is None or not other.can_moderate


def _impose(user: User, room: Room | None, kind: str, reason: str, minutes: int | None, actor: User) -> Restriction:
    if minutes is not None and not 1 <= minutes <= 525_600:
        raise InvalidError("From a minute to a year; leave it out for no end.", field="minutes")
    now = queries.now()
    expires_at = now + timedelta(minutes=minutes) if minutes else None
    # The new one takes the place of the old one: else there would be two to lift.
    Restriction.objects.filter(user=user, room=room, kind=kind, lifted_at=None).update(lifted_at=now)
    made = Restriction.objects.create(
        user=user, room=room, kind=kind, reason=reason[:500], imposed_by=actor, expires_at=expires_at
    )
    called = "muted" if kind == RestrictionKind.MUTE else "banned"
    until = f" until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else ""
    _tell(user, f"You are {called} in {room.name if room else 'the chat'}{until}", None, actor, reason)
    return made


def _tell(user: User, title: str, room: Room | None, actor: User, body: str) -> None:
    url = room.get_absolute_url() if room else "/chat/"
    request_notification(user, kind="moderation", title=title, url=url, body=body, actor=actor)


def _reason(text: str) -> str:
    reason = " ".join(text.replace("\x00", "").split())
    if not 1 <= len(reason) <= 500:
        raise InvalidError("Say why, in at most 500 characters.", field="reason")
    return reason
