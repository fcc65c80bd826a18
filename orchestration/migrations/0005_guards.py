"""Halts, breakers, counters, slots, and the queue of held runs; review items whose clock a halt stops."""

import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orchestration", "0004_fair_claims"),
    ]

    operations = [
        migrations.CreateModel(
            name="Breaker",
            fields=[
                ("key", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("target", models.CharField(blank=True, max_length=36)),
                (
                    "phase",
                    models.CharField(
                        choices=[("closed", "closed"), ("open", "open"), ("half_open", "half-open")],
                        default="closed",
                        max_length=12,
                    ),
                ),
                ("failures", models.TextField(default="[]")),
                ("openings", models.PositiveIntegerField(default=0)),
                ("until", models.DateTimeField(null=True)),
                ("probe", models.UUIDField(null=True)),
                ("probe_until", models.DateTimeField(null=True)),
                ("is_stirred", models.BooleanField(default=False)),
                ("changed_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("key", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("starts", models.TextField(default="{}")),
                ("calls", models.TextField(default="{}")),
                ("retries", models.TextField(default="{}")),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Halt",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "scope",
                    models.CharField(
                        choices=[("agent", "agent"), ("workflow", "workflow"), ("everything", "everything")], max_length=12
                    ),
                ),
                ("target", models.CharField(blank=True, max_length=36)),
                ("name", models.CharField(blank=True, max_length=80)),
                (
                    "status",
                    models.CharField(
                        choices=[("standing", "halted"), ("resuming", "resuming"), ("lifted", "resumed")],
                        default="standing",
                        max_length=12,
                    ),
                ),
                ("placed_at", models.DateTimeField()),
                ("placed_by", models.CharField(max_length=45)),
                ("place", models.CharField(max_length=120)),
                ("resumed_at", models.DateTimeField(null=True)),
                ("resumed_by", models.CharField(blank=True, max_length=45)),
                ("pace", models.PositiveIntegerField(default=0)),
                ("released", models.PositiveIntegerField(default=0)),
                ("released_at", models.DateTimeField(null=True)),
                ("lifted_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="HeldRun",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="orchestration.run",
                    ),
                ),
                ("guard", models.CharField(max_length=130)),
                ("priority", models.PositiveSmallIntegerField()),
                ("submitted_at", models.DateTimeField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("woken_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Slot",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="orchestration.run",
                    ),
                ),
                ("key", models.CharField(max_length=120)),
                ("step", models.CharField(max_length=64)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="reviewitem",
            name="frozen_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="inboxitem",
            name="kind",
            field=models.CharField(
                choices=[
                    ("gate_settled", "Gate Settled"),
                    ("review_settled", "Review Settled"),
                    ("cancel", "Cancel"),
                    ("retry", "Retry"),
                    ("resumed", "Resumed"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="status",
            field=models.CharField(
                choices=[
                    ("running", "running"),
                    ("waiting_decision", "waiting for a decision"),
                    ("waiting_review", "waiting for a person"),
                    ("waiting_retry", "waiting to retry"),
                    ("held", "held"),
                    ("completed", "completed"),
                    ("failed", "failed"),
                    ("cancelled", "cancelled"),
                ],
                default="running",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="reviewitem",
            index=models.Index(condition=models.Q(("frozen_at__isnull", False)), fields=["frozen_at"], name="review_frozen"),
        ),
        migrations.AddIndex(
            model_name="breaker",
            index=models.Index(condition=models.Q(("is_stirred", True)), fields=["key"], name="breaker_stirred"),
        ),
        migrations.AddIndex(
            model_name="halt",
            index=models.Index(
                condition=models.Q(("status", "lifted"), _negated=True), fields=["placed_at"], name="halt_standing"
            ),
        ),
        migrations.AddConstraint(
            model_name="halt",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "lifted"), _negated=True), fields=("scope", "target"), name="halt_once_per_target"
            ),
        ),
        migrations.AddIndex(
            model_name="heldrun",
            index=models.Index(fields=["guard", "priority", "submitted_at", "run"], name="held_queue"),
        ),
        migrations.AddIndex(
            model_name="slot",
            index=models.Index(fields=["key"], name="slot_key"),
        ),
    ]
