from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parents[1] / "sql" / "ledger_v1.sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        # No way back: a ledger that a migration can take away is none.
        migrations.RunSQL(
            sql=SQL.read_text(encoding="utf-8"),
            state_operations=[
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("recorded_at", models.DateTimeField()),
                        ("txid", models.BigIntegerField()),
                        ("action", models.TextField()),
                        (
                            "outcome",
                            models.TextField(
                                choices=[("success", "success"), ("denied", "denied"), ("error", "error")]
                            ),
                        ),
                        ("object_type", models.TextField(blank=True)),
                        ("object_id", models.TextField(blank=True)),
                        ("changes", models.JSONField(null=True)),
                        ("actor_type", models.TextField(blank=True)),
                        ("actor_id", models.TextField(blank=True)),
                        ("actor_label", models.TextField(blank=True)),
                        ("request_id", models.TextField(blank=True)),
                        ("trace_id", models.TextField(blank=True)),
                        ("span_id", models.TextField(blank=True)),
                        ("task_id", models.TextField(blank=True)),
                        ("origin", models.TextField(blank=True)),
                        ("operation", models.TextField(blank=True)),
                        ("context", models.JSONField(default=dict)),
                    ],
                    options={
                        "db_table": "audit_event",
                        "ordering": ["-id"],
                        "managed": False,
                        "default_permissions": ("view",),
                    },
                ),
            ],
        ),
    ]
