"""Indexes for claims that are fair to tiers and workflows (orchestration.engine.lease)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orchestration", "0003_run_woken_also_when_ended")]

    operations = [
        migrations.RemoveIndex(model_name="run", name="run_woken"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                models.F("workflow"),
                models.F("priority"),
                models.F("submitted_at"),
                condition=models.Q(("wake__gt", models.F("seen"))),
                name="run_woken",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                models.F("submitted_at"), condition=models.Q(("wake__gt", models.F("seen"))), name="run_oldest"
            ),
        ),
    ]
