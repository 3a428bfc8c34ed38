from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql" / "enqueue_v1.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks", "0005_attempts_in_the_run")]

    operations = [
        migrations.RunSQL(sql=SQL.read_text(encoding="utf-8"), reverse_sql="DROP FUNCTION public.tasks_enqueue_v1;")
    ]
