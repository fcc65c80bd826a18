"""Every child run knows the other workflows above it, so that their halts hold it."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def fill(apps: Any, schema_editor: Any) -> None:
    """Level by level, so that a parent is known before its children."""
    runs = apps.get_model("orchestration", "Run").objects
    above = "parent"
    while runs.filter(**{f"{above}__isnull": False}).exists():
        level = runs.filter(**{f"{above}__isnull": False, f"{above}__parent__isnull": True}).select_related("parent")
        changed = []
        for run in level.only("workflow_id", "lineage", "parent__workflow_id", "parent__lineage").iterator(chunk_size=2_000):
            is_other = run.workflow_id != run.parent.workflow_id
            run.lineage = " ".join([*run.parent.lineage.split(), *([str(run.parent.workflow_id)] if is_other else [])])
            changed += [run] if run.lineage else []
        runs.bulk_update(changed, ["lineage"], batch_size=500)
        above += "__parent"


class Migration(migrations.Migration):
    dependencies = [
        ("orchestration", "0012_child_runs"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="lineage",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
