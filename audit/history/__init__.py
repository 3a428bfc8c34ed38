"""An object in time: its versions, what it was, and bringing it back."""
