"""What the ledger tells the application."""

from django.dispatch import Signal

# Sent after commit for each statement that changed tracked rows, and for each recorded event; never for what rolled
# back. Keyword argument: `change`, an `audit.echo.Change`, exactly what the ledger holds. A receiver that raises
# harms nothing.
model_changed = Signal()
