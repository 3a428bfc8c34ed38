"""What can be wrong with a maintenance that somebody asks for."""


class MaintenanceError(Exception):
    """Maintenance can't be switched on like this; the message says why."""
