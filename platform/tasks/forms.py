"""What operators fill in."""

from django import forms

from tasks.errors import ReasonMissingError

LONGEST_REASON = 500


class ReasonForm(forms.Form):
    """Why something is done to a task: the ledger is told."""

    reason = forms.CharField(
        label="Reason",
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": str(ReasonMissingError.__doc__)},
    )
