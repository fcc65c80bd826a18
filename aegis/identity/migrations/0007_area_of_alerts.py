"""The tenth area, "alerts", under an id that is the same in every installation, as those of 0002."""

import uuid

from django.db import migrations

NAMESPACE = uuid.UUID("8a0f5a0e-5f4e-5d0c-9c36-0b7a2c1de9a1")
NAME, TITLE = "alerts", "Alerts: rules, and what they find"


def add_area(apps, schema_editor):
    area = apps.get_model("identity", "Area")
    made = {"id": uuid.uuid5(NAMESPACE, NAME), "title": TITLE}
    area.objects.update_or_create(name=NAME, defaults={"title": TITLE}, create_defaults=made)


class Migration(migrations.Migration):
    dependencies = [("identity", "0006_unreviewed_taken_rights")]
    operations = [migrations.RunPython(add_area, migrations.RunPython.noop)]
