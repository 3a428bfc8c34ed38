"""HTTP requests, both those that are served and those that are made."""
