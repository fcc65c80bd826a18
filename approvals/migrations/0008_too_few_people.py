from django.db import migrations, models


class Migration(migrations.Migration):
    """Since when too few people are left who could decide a request."""

    dependencies = [("approvals", "0007_request_revision")]

    operations = [
        migrations.AddField("approvalrequest", "short_since", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(fields=["short_since"], condition=models.Q(short_since__isnull=False), name="request_short"),
        ),
    ]
