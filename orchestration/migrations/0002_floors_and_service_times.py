"""A floor lock keeps what its policy asked when it was set; a queue keeps its service time; locks and matrix versions only grow."""

from datetime import timedelta

from django.db import migrations, models

from audit import triggers
from orchestration.authority import guards


class Migration(migrations.Migration):
    dependencies = [("orchestration", "0001_initial"), ("audit", "0003_append_only")]

    operations = [
        migrations.AddField("floorlock", "floor", models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField("historicalfloorlock", "floor", models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField(
            "reviewqueue", "service_time", models.DurationField(default=timedelta(hours=4)), preserve_default=False
        ),
        migrations.AddField(
            "historicalreviewqueue", "service_time", models.DurationField(default=timedelta(hours=4)), preserve_default=False
        ),
        triggers.install(*guards.ALL),
    ]
