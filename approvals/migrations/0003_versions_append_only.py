"""Frozen document versions are append-only, by trigger, on both databases. Reversible."""

from django.db import migrations

from approvals.protected import VERSIONS
from audit.triggers import install


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0002_request_bound_people'),
    ]

    operations = [
        install(VERSIONS),
    ]
