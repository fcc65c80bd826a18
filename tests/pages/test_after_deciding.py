"""After an act the page says what was done and links to it, so nobody has to look for the run again."""

from __future__ import annotations

import pytest

from orchestration.agents.protocol import Abstain
from orchestration.engine.models import ReviewItem
from tests.engine import house
from tests.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)


def approve(client, request):
    form = {"verdict": "approve", "reason": "ok", "seen_digest": request.digest}
    return text_of(client.post(f"/approvals/{request.pk}/decide/", form, follow=True))


def test_a_decision_links_its_request_and_its_run(waiting, sam, at_desk):
    client = at_desk(sam)
    sees = client.get(f"/runs/{waiting.run_id}/").status_code == 200
    page = approve(client, waiting)

    assert f'Approved: <a href="/approvals/{waiting.pk}/">{waiting.label}</a>.' in page
    assert sees
    assert f'<a href="/runs/{waiting.run_id}/">RUN-{waiting.run_id.hex[:6].upper()} (' in page


def test_settling_a_review_item_links_the_item_and_its_run(gated, zoe, sam, at_desk):
    house.answers["write"] = Abstain("this is about a parrot")
    run = house.submit(zoe, {"id": "n-1"})
    house.drive(run)
    item = ReviewItem.objects.get(run=run)

    page = text_of(at_desk(sam).post(f"/review/{item.pk}/retry/", {"reason": "it was asleep"}, follow=True))

    assert f'<a href="/review/{item.pk}/">{item.label}</a>: Sent back' in page
    assert f'<a href="/runs/{run.pk}/">{run.label} (n-1)</a>.' in page
