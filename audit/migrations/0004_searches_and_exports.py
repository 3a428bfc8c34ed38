import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_reading"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="event",
            options={
                "default_permissions": ("view",),
                "managed": False,
                "ordering": ["-id"],
                "permissions": [
                    ("view_personal", "Can see personal values in the ledger"),
                    ("view_masked", "Can see the digests of masked values in the ledger"),
                    ("export_event", "Can export the ledger"),
                    ("restore_object", "Can restore an object to what the ledger holds"),
                ],
            },
        ),
        migrations.AddField(  # the table has it: it isn't managed here
            model_name="event",
            name="schema_version",
            field=models.SmallIntegerField(default=1),
        ),
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("scopes", models.JSONField(null=True)),
                ("shows", models.JSONField(default=dict)),
                ("format", models.CharField(max_length=20)),
                ("filters", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                            ("expired", "Expired"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("estimated_count", models.BigIntegerField(default=0)),
                ("event_count", models.BigIntegerField(default=0)),
                ("cursor", models.TextField(blank=True)),
                ("file_name", models.CharField(blank=True, max_length=200)),
                ("size_bytes", models.BigIntegerField(default=0)),
                ("sha256_hex", models.CharField(blank=True, max_length=64)),
                ("error", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SavedSearch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("query", models.CharField(blank=True, max_length=4000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("owner", "name"), name="audit_saved_search_name")],
            },
        ),
    ]
