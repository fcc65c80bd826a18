"""Signed checkpoints (append-only), and why none is signed."""

from django.db import migrations, models

from audit import guards, triggers


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0004_leaves'),
    ]

    operations = [
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('size', models.BigIntegerField(primary_key=True, serialize=False)),
                ('root', models.CharField(max_length=64)),
                ('note', models.TextField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='tree',
            name='refusal',
            field=models.CharField(blank=True, max_length=300),
        ),
        triggers.install(guards.CHECKPOINTS),
    ]
