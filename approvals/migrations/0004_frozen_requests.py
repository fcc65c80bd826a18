"""When a halt stopped the clock of a request."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0003_versions_append_only"),
    ]

    operations = [
        migrations.AddField(
            model_name="approvalrequest",
            name="frozen_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(condition=models.Q(("status", "frozen")), fields=["frozen_at"], name="request_frozen"),
        ),
    ]
