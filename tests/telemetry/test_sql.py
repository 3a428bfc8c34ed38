"""A statement is told by its operation and table, without its values."""

import pytest

from telemetry.database.statements import describe


@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ('SELECT "blog_post"."id" FROM "blog_post" WHERE "blog_post"."id" = %s', "SELECT blog_post"),
        ('INSERT INTO "blog_post" ("title") VALUES (%s)', "INSERT blog_post"),
        ('UPDATE "blog_post" SET "title" = %s', "UPDATE blog_post"),
        ('DELETE FROM "public"."blog_post" WHERE id IN (1, 2)', "DELETE blog_post"),
        ("SELECT public.audit_record_v1(%s)", "SELECT audit_record_v1"),
        ("SAVEPOINT s1", "SAVEPOINT"),
        ("", ""),
    ],
)
def test_the_summary_names_operation_and_target(sql: str, summary: str) -> None:
    assert describe(sql).summary == summary


def test_literals_and_long_lists_are_left_out() -> None:
    text = describe("SELECT a FROM t WHERE b = 'it''s secret' AND c = 42 AND d IN (%s, %s, %s)").text

    assert text == "SELECT a FROM t WHERE b = ? AND c = ? AND d IN (%s, …)"


def test_a_statement_of_a_megabyte_is_cut() -> None:
    assert len(describe("SELECT " + "a, " * 400_000).text) <= 2_000
