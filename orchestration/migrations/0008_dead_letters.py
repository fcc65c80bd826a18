"""The list of dead letters reads failed runs, newest first (orchestration.engine.deadletters)."""

from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("orchestration", "0007_submitted_batches")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(F("ended_at").desc(), F("id"), condition=Q(("status", "failed")), name="run_failed"),
        ),
    ]
