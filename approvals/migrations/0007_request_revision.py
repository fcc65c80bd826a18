from django.db import migrations, models


class Migration(migrations.Migration):
    """Which edit of a request stands."""

    dependencies = [("approvals", "0006_policies_people")]

    operations = [
        migrations.AddField("approvalrequest", "revision", models.PositiveIntegerField(default=0)),
    ]
