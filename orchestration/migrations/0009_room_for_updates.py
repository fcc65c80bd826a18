"""Room on every page of runs: a transition updates its row in place of a dead one and touches no index (engine.commit)."""

from typing import Any, ClassVar

from django.db import migrations

FILLFACTOR = 50  # runs of one wave lie on one page and change together


def set_fillfactor(value: int) -> migrations.RunPython:
    def run(_: Any, editor: Any) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(f"ALTER TABLE orchestration_run SET (fillfactor = {value})")

    return migrations.RunPython(run, lambda _, editor: None)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orchestration", "0008_dead_letters")]

    operations: ClassVar = [set_fillfactor(FILLFACTOR)]
