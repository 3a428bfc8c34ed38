"""Tasks that are dead or cancelled are found by their time: they are few, and what succeeds pays nothing for it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0002_attempts")]

    operations = [
        migrations.AddIndex(
            model_name="taskrun",
            index=models.Index(
                condition=models.Q(("outcome__in", ["dead", "cancelled"])),
                fields=["-enqueued_at", "-id"],
                name="tasks_taskrun_ended_badly",
            ),
        ),
    ]
