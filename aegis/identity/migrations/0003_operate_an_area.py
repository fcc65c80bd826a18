"""The right to stop and resume what works in an area."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0002_area_rows"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="area",
            options={
                "default_permissions": (),
                "permissions": [
                    ("view_area", "May read this area"),
                    ("operate_area", "May stop and resume what works here"),
                    ("edit_area", "May propose and apply changes here"),
                ],
            },
        ),
    ]
