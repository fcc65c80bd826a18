"""The nine areas, under ids that are the same in every installation, so that a restored grant still means the same area."""

import uuid

from django.db import migrations

NAMESPACE = uuid.UUID("8a0f5a0e-5f4e-5d0c-9c36-0b7a2c1de9a1")
AREAS = {
    "access": "Access: roles, grants, locks",
    "contracts": "Contracts",
    "routing": "Routing tables",
    "workflows": "Workflows",
    "agents": "Agents",
    "approvals": "Approval policies",
    "queues": "Review queues",
    "people": "People and groups",
    "audit": "Audit",
}


def add_areas(apps, schema_editor):
    area = apps.get_model("identity", "Area")
    for name, title in AREAS.items():
        area.objects.update_or_create(name=name, defaults={"title": title}, create_defaults={
            "id": uuid.uuid5(NAMESPACE, name), "title": title,
        })


class Migration(migrations.Migration):
    dependencies = [("identity", "0001_initial")]
    operations = [migrations.RunPython(add_areas, migrations.RunPython.noop)]
