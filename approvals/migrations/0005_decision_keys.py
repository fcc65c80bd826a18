"""The key under which a person may send a vote again whose answer was lost (approvals.gates.decide)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0004_frozen_requests")]

    operations = [
        migrations.AddField(model_name="decision", name="idempotency_key", field=models.CharField(max_length=120, null=True)),
    ]
