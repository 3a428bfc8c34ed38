"""What people choose on the pages of notifications."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from notifications.kinds import DIGESTS, KINDS, Channels, Kind


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one kind."""

    kind: Kind
    page: BoundField
    email: BoundField
    digest: BoundField


class PreferencesForm(forms.Form):
    """For each kind: on the page, by e-mail at once, in a digest."""

    def __init__(self, *args: Any, channels: dict[str, Channels], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, chosen in channels.items():
            self.fields[f"{name}-page"] = forms.BooleanField(required=False, initial=chosen.page)
            self.fields[f"{name}-email"] = forms.BooleanField(required=False, initial=chosen.email)
            self.fields[f"{name}-digest"] = forms.ChoiceField(choices=DIGESTS, initial=chosen.digest)

    def rows(self) -> list[Row]:
        """Return the fields by kind."""
        return [
            Row(kind, self[f"{kind.name}-page"], self[f"{kind.name}-email"], self[f"{kind.name}-digest"])
            for kind in KINDS.values()
        ]

    def chosen(self) -> dict[str, Channels]:
        """Return what was chosen, once the form is valid."""
        return {
            name: Channels(
                page=self.cleaned_data[f"{name}-page"],
                email=self.cleaned_data[f"{name}-email"],
                digest=self.cleaned_data[f"{name}-digest"],
            )
            for name in KINDS
        }
