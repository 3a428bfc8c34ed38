from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql" / "attempts_v1.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks", "0003_ended_badly")]

    operations = [
        migrations.RunSQL(
            sql=SQL.read_text(encoding="utf-8"),
            reverse_sql="DROP FUNCTION public.tasks_claim_v1; DROP FUNCTION public.tasks_finish_v1;",
        )
    ]
