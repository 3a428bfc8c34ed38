"""Statements, transactions and connections of the database."""
