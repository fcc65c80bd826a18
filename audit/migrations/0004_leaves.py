"""The tree over the journal: leaves and nodes (append-only), where the sealer stands, how far followers have come.

On PostgreSQL each event also keeps the id of the transaction that wrote it (ADR 0043): events that were there before get the id
of this one. The column is no model field: nothing but the sealer reads it, and SQLite needs none.
"""

import django.db.models.deletion
from django.db import migrations, models

from audit import guards, triggers


def add_xid(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE audit_event ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()")
        editor.execute("CREATE INDEX event_xid ON audit_event (xid)")  # read by audit.sealer


def drop_xid(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE audit_event DROP COLUMN xid")


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0003_append_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='Follower',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('position', models.BigIntegerField(default=0)),
                ('moved_at', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Tree',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('size', models.BigIntegerField(default=0)),
                ('frontier', models.JSONField(default=list)),
                ('root', models.CharField(blank=True, max_length=64)),
                ('sealed_xid', models.BigIntegerField(default=0)),
                ('cluster', models.CharField(blank=True, max_length=20)),
                ('sealed_at', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Leaf',
            fields=[
                ('leaf_index', models.BigIntegerField(primary_key=True, serialize=False)),
                ('hash', models.CharField(max_length=64)),
                ('event', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='sealed', to='audit.event')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Node',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.PositiveSmallIntegerField()),
                ('position', models.BigIntegerField()),
                ('hash', models.CharField(max_length=64)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('level', 'position'), name='node_place')],
            },
        ),
        migrations.RunPython(add_xid, drop_xid),
        triggers.install(guards.LEAVES, guards.NODES),
    ]
