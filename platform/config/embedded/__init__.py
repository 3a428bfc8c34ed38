"""The embedded PostgreSQL and Redis: real servers from wheels, for development and tests."""
