"""A run's row tells of its present attempt, and of the one that succeeded: a task that goes well writes no other."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parents[1] / "sql" / "attempts_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks", "0004_attempts_as_functions")]

    operations = [
        migrations.AddField(
            model_name="taskrun",
            name="attempt_trace_id",
            field=models.CharField(blank=True, db_default="", help_text="The last attempt's.", max_length=32),
        ),
        migrations.AlterField(
            model_name="taskattempt",
            name="run",
            field=models.ForeignKey(on_delete=models.deletion.CASCADE, related_name="past_tries", to="tasks.taskrun"),
        ),
        # Workers of the release before go on with the functions that they know.
        migrations.RunSQL(
            sql=SQL.read_text(encoding="utf-8"),
            reverse_sql="DROP FUNCTION public.tasks_claim_v2; DROP FUNCTION public.tasks_finish_v2;",
        ),
        # Room for the beginning of an attempt on the page of its run, so that it writes to no index.
        migrations.RunSQL(
            sql="ALTER TABLE public.tasks_taskrun SET (fillfactor = 70)",
            reverse_sql="ALTER TABLE public.tasks_taskrun RESET (fillfactor)",
        ),
    ]
