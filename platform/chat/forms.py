from collections.abc import Sequence
from typing import Any

from django import forms

from chat.actions import clean_body
from chat.errors import InvalidMessageError
from chat.models import LONGEST_BODY, RoomKind

_KINDS = [(RoomKind.PRIVATE, "Private: whom its members bring in"), (RoomKind.PUBLIC, "Public: everybody")]


class MessageForm(forms.Form):
    """What is said, where scripts are off."""

    body = forms.CharField(max_length=LONGEST_BODY, strip=False, widget=forms.Textarea)

    def clean_body(self) -> str:
        """Refuse what the action would refuse."""
        try:
            return clean_body(self.cleaned_data["body"])
        except InvalidMessageError as error:
            raise forms.ValidationError(str(error)) from None


class RoomForm(forms.Form):
    """A new room; the action says what it may be called."""

    name = forms.CharField(max_length=100)
    topic = forms.CharField(max_length=200, required=False, help_text="What it's for, in one line.")
    slug = forms.CharField(
        max_length=50,
        required=False,
        label="Address",
        help_text="Small letters, digits and hyphens. From the name by default.",
    )
    kind = forms.ChoiceField(widget=forms.RadioSelect, initial=RoomKind.PRIVATE, label="Who finds it")

    def __init__(self, *args: Any, kinds: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = self.fields["kind"]
        assert isinstance(kind, forms.ChoiceField)  # noqa: S101
        kind.choices = [choice for choice in _KINDS if choice[0] in kinds]
