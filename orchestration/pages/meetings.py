"""What a run waits for that is neither a person nor a retry, for its page."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse

from aegis.core import clock_text
from aegis.identity.models import User
from orchestration.engine import waiting
from orchestration.engine.models import Run
from orchestration.pages.standing import Meeting


def meeting(user: User, run: Run) -> Meeting | None:
    """See `waiting.of_run`; the holder of a resource is a link for those who may see it."""
    found = waiting.of_run(run, Run.objects.visible_to(user))
    if found is None:
        return None
    holder, url = found["holder"], ""
    if holder and holder != "another run":
        pk = UUID(holder)
        holder, url = Run(pk=pk).label, reverse("runs:run", args=[pk])
    is_message = found["kind"] == "message"
    return Meeting(
        found["name"] if is_message else found["key"],
        key=found["key"] if is_message else "",
        holder=holder,
        url=url,
        until=clock_text.parse(found["until"]) if found["until"] else None,
    )
