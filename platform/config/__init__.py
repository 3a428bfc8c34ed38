"""The platform's configuration: settings, URLs, the processes' entry points."""
