from django import forms

from chat.actions import clean_body
from chat.errors import InvalidMessageError
from chat.models import LONGEST_BODY


class MessageForm(forms.Form):
    """What is said, where scripts are off."""

    body = forms.CharField(max_length=LONGEST_BODY, strip=False, widget=forms.Textarea)

    def clean_body(self) -> str:
        """Refuse what the action would refuse."""
        try:
            return clean_body(self.cleaned_data["body"])
        except InvalidMessageError as error:
            raise forms.ValidationError(str(error)) from None
