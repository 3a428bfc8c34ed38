from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql" / "reading_v1.sql"


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_partitions")]

    operations = [migrations.RunSQL(sql=SQL.read_text(encoding="utf-8"))]
