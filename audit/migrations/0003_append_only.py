"""Events are never changed or removed; payloads are only ever emptied. Held by triggers on both databases."""

from django.db import migrations

from audit import guards, triggers


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_verifications_and_denials")]

    operations = [triggers.install(guards.EVENTS, guards.PAYLOADS)]
