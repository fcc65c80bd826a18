"""Found a database for torture, as a program with its environment. Prints {"tokens": {person: API token}}.

python -m tests.torture.groundwork FOLDER

Beside the product's own tables it makes a witness: a trigger notes every line of a run that was written under a fence older
than the run's, which is what a stale worker's commit looks like from inside the database, whatever the product believes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_POSTGRES = """
CREATE TABLE torture_witness (stream text, seq int, line_fence int, run_fence int);
CREATE FUNCTION torture_witness() RETURNS trigger AS $$
BEGIN
    INSERT INTO torture_witness
    SELECT NEW.stream, NEW.seq, (NEW.line::jsonb->>'fence')::int, run.fence FROM orchestration_run run
    WHERE run.id = NEW.run_id AND NEW.stream = 'run:' || run.id AND NEW.seq > 1
        AND run.fence <> (NEW.line::jsonb->>'fence')::int;
    RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER torture_witness AFTER INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION torture_witness();
"""

_SQLITE = """
CREATE TABLE torture_witness (stream text, seq int, line_fence int, run_fence int);
CREATE TRIGGER torture_witness AFTER INSERT ON audit_event FOR EACH ROW WHEN NEW.seq > 1 AND NEW.stream LIKE 'run:%'
BEGIN
    INSERT INTO torture_witness SELECT NEW.stream, NEW.seq, json_extract(NEW.line, '$.fence'), run.fence
    FROM orchestration_run run WHERE run.id = NEW.run_id AND run.fence <> json_extract(NEW.line, '$.fence');
END;
"""


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection

    from aegis.core.actors import SYSTEM
    from aegis.identity import grants
    from orchestration.workflows.models import Workflow
    from tests.support import founding
    from tests.torture import shapes

    call_command("migrate", interactive=False, verbosity=0)
    founding.found(Path(sys.argv[1]))
    desk = Group.objects.get(name="Fault desk")
    for workflow in Workflow.objects.filter(name__in=shapes.BY_NAME):
        for verb in ("view", "start", "operate"):
            grants.grant(desk, workflow, verb, actor=SYSTEM, reason="test")
    tokens = founding.tokens()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES)
        else:
            cursor.connection.executescript(_SQLITE)
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sys.stdout.write(json.dumps({"tokens": tokens}))


if __name__ == "__main__":
    main()
