"""What the ledger leaves out of messages, made of what it holds where it brings one back."""

import audit
from accounts.models import User
from chat import markdown
from chat.actions.log import next_sequence, note_restored
from chat.models import Message


@audit.derives("chat.Message", "html", "version")
def derive_message(message: Message) -> None:
    """Render a message's text, and number the change in its room's log, so that open pages show it; doesn't save it.

    Raises:
        GoneError: its room isn't there any more.
    """
    people = {user.username: user.pk for user in User.objects.filter(pk__in=message.mentions)}
    message.html = markdown.render_message(message.body, people) if message.body else ""
    message.version = next_sequence(message.room, even_archived=True)
    note_restored(message, message.version)
