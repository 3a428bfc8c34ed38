"""Attempts, leases, effects, queues that can be paused; a run's state becomes what its columns say."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import Case, Q, Value, When

_OUTCOMES = [("succeeded", "Succeeded"), ("dead", "Dead"), ("cancelled", "Cancelled")]
_STATES = [("queued", "Queued"), ("running", "Running"), ("retrying", "Retrying"), *_OUTCOMES]

# What was with the broker or at work is sent once more by the sweep: a finished one is known by its outcome.
_CARRY_OVER = """
UPDATE tasks_taskrun
SET outcome = CASE state WHEN 'succeeded' THEN 'succeeded' WHEN 'failed' THEN 'dead' ELSE '' END, max_attempts = 32767
WHERE state IN ('succeeded', 'failed') OR max_attempts <> 32767;
"""


class Migration(migrations.Migration):
    dependencies = [("tasks", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Queue",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("is_paused", models.BooleanField(default=False)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                ("changed_by", models.CharField(blank=True, max_length=200)),
                ("reason", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.RemoveIndex(model_name="taskrun", name="tasks_taskrun_waiting"),
        migrations.RenameField(model_name="taskrun", old_name="published_at", new_name="sent_at"),
        migrations.AddField(
            model_name="taskrun",
            name="outcome",
            field=models.CharField(blank=True, choices=_OUTCOMES, default="", max_length=20),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="taskrun",
            name="priority",
            field=models.PositiveSmallIntegerField(default=0, help_text="0 goes first, 9 last."),
        ),
        migrations.AddField(
            model_name="taskrun",
            name="unique_key",
            field=models.CharField(
                blank=True, default="", help_text="One unfinished run has it at a time.", max_length=200
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="taskrun",
            name="dead_letter",
            field=models.CharField(
                blank=True, default="", help_text="The task that is told if this one dies.", max_length=200
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="taskrun", name="max_attempts", field=models.PositiveIntegerField(default=32_767)
        ),
        migrations.AddField(
            model_name="taskrun",
            name="duplicates",
            field=models.PositiveIntegerField(default=0, help_text="Messages of it that were not run again."),
        ),
        migrations.AddField(model_name="taskrun", name="lease_expires_at", field=models.DateTimeField(null=True)),
        migrations.AddField(model_name="taskrun", name="cancel_requested_at", field=models.DateTimeField(null=True)),
        migrations.AddField(
            model_name="taskrun", name="progress_done", field=models.PositiveBigIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="taskrun", name="progress_total", field=models.PositiveBigIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="taskrun",
            name="progress_note",
            field=models.CharField(blank=True, default="", max_length=200),
            preserve_default=False,
        ),
        migrations.AddField(model_name="taskrun", name="result", field=models.JSONField(null=True)),
        migrations.AlterField(
            model_name="taskrun",
            name="message",
            field=models.TextField(editable=False, help_text="JSON: what it takes to send it again.", null=True),
        ),
        migrations.RunSQL(_CARRY_OVER, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="taskrun", name="state"),
        migrations.AddField(
            model_name="taskrun",
            name="state",
            field=models.GeneratedField(
                db_persist=True,
                expression=Case(
                    When(~Q(outcome=""), then="outcome"),
                    When(lease_expires_at__isnull=False, then=Value("running")),
                    When(attempts__gt=0, then=Value("retrying")),
                    default=Value("queued"),
                    output_field=models.CharField(max_length=20),
                ),
                output_field=models.CharField(choices=_STATES, max_length=20),
            ),
        ),
        migrations.AddIndex(
            model_name="taskrun",
            index=models.Index(
                condition=Q(outcome=""), fields=["queue", "enqueued_at"], name="tasks_taskrun_unfinished"
            ),
        ),
        migrations.AddIndex(
            model_name="taskrun",
            index=models.Index(condition=Q(outcome="dead"), fields=["-finished_at"], name="tasks_taskrun_dead"),
        ),
        migrations.AddConstraint(
            model_name="taskrun",
            constraint=models.UniqueConstraint(
                condition=Q(outcome="") & ~Q(unique_key=""), fields=["unique_key"], name="tasks_taskrun_unique"
            ),
        ),
        migrations.CreateModel(
            name="TaskAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("worker", models.CharField(blank=True, max_length=200)),
                ("trace_id", models.CharField(blank=True, max_length=32)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("succeeded", "Succeeded"),
                            ("retried", "Failed, tried again"),
                            ("failed", "Failed"),
                            ("lost", "Lost with its worker"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=20,
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=2_000)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tries", to="tasks.taskrun"
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "constraints": [models.UniqueConstraint(fields=("run", "number"), name="tasks_taskattempt_number")],
            },
        ),
        migrations.CreateModel(
            name="TaskEffect",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="effects", to="tasks.taskrun"
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("run", "name"), name="tasks_taskeffect_once")]},
        ),
    ]
