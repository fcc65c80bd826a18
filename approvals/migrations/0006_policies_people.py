"""Escalation and reminders, claims, delegations, and what a decision is signed with."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


def begin_stages(apps, schema_editor):
    """Requests of before have been in their stage since they opened, as far as anybody knows."""
    apps.get_model("approvals", "ApprovalRequest").objects.filter(stage_since=None).update(stage_since=F("opened_at"))


_PERSON = {"on_delete": django.db.models.deletion.PROTECT, "related_name": "+", "to": settings.AUTH_USER_MODEL}


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("approvals", "0005_decision_keys"),
    ]

    operations = [
        migrations.AddField("approvalrequest", "stage_since", models.DateTimeField(null=True)),
        migrations.RunPython(begin_stages, migrations.RunPython.noop),
        migrations.AlterField("approvalrequest", "stage_since", models.DateTimeField()),
        migrations.AddField("approvalrequest", "escalated", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("approvalrequest", "reminded", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("approvalrequest", "next_at", models.DateTimeField(null=True)),
        migrations.AddField("approvalrequest", "claimed_by", models.ForeignKey(null=True, **_PERSON)),
        migrations.AddField("approvalrequest", "claimed_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "approvalrequest", models.Index(fields=["next_at"], condition=Q(status="open"), name="request_next")
        ),
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("policy", models.CharField(blank=True, max_length=80)),
                ("capability", models.CharField(blank=True, max_length=120)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("delegator", models.ForeignKey(**_PERSON)),
                ("delegate", models.ForeignKey(**_PERSON)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["delegate", "ends_at"], name="delegation_of_delegate"),
                    models.Index(fields=["delegator"], name="delegation_of_delegator"),
                ],
            },
        ),
        migrations.AddField(
            "decision",
            "delegation",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="approvals.delegation"
            ),
        ),
        migrations.AddField("decision", "name", models.CharField(blank=True, max_length=150)),
        migrations.AddField("decision", "meaning", models.CharField(blank=True, max_length=300)),
        migrations.AddField("decision", "auth", models.CharField(blank=True, max_length=40)),
        migrations.AddField("decision", "proved_at", models.DateTimeField(null=True)),
        migrations.AddField("decision", "seconds_open", models.PositiveIntegerField(null=True)),
        migrations.AlterField(
            "decision",
            "verdict",
            models.CharField(
                choices=[("approve", "approved"), ("reject", "rejected"), ("request_changes", "requested changes")],
                max_length=16,
            ),
        ),
    ]
