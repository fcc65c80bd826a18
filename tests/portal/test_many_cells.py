"""100 roles x 200 capabilities ask the database as often as 10 x 20: the matrix page, its sheet, and a preview of a change."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core.canonical import dump
from aegis.core.kinds import Key
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from approvals import changes
from orchestration.agents.models import Agent
from orchestration.authority import live
from orchestration.authority.models import Capability, Role
from tests.portal.documents import document

pytestmark = pytest.mark.django_db

ANY = {"type": "object", "additionalProperties": False}


def grow(roles: int, capabilities: int) -> None:
    """Rows as change control would have written them; every third cell says something. The matrix is compiled once."""
    from django.db import transaction

    names = [f"thing.do{number}" for number in range(capabilities)]
    spec = {"resource": "thing", "risk": "low", "safety": "keyed", "handler": "record.patch", "parameters": ANY}
    made = [document("Capability", name, spec) for name in names]
    effects = ({"effect": "allow"}, {"effect": "deny"}, {"effect": "gate", "policy": "lead"})
    for role in range(roles):
        cells = [{"capability": name, **effects[at % 3]} for at, name in enumerate(names) if (at + role) % 3 == 0]
        made.append(document("Role", f"role-{role}", {"grants": cells, "people": role % 4 == 0}))
    with transaction.atomic():
        raise_epoch()
        for model, kind in ((Capability, "Capability"), (Role, "Role")):
            known = set(model.objects.values_list("name", flat=True))
            rows = [one for one in made if one["kind"] == kind and one["metadata"]["name"] not in known]
            texts = [dump(one).decode() for one in rows]
            model.objects.bulk_create([_row(model, one, text) for one, text in zip(rows, texts, strict=True)])
            for one in made:
                if one["kind"] == kind and one["metadata"]["name"] in known:
                    model.objects.filter(name=one["metadata"]["name"]).update(document=dump(one).decode())
        live.compile_and_store(actor=live.SYSTEM)


def _row(model: Any, one: dict[str, Any], text: str) -> Any:
    from aegis.core import canonical, clock

    return model(
        name=one["metadata"]["name"], document=text, digest=canonical.digest(text.encode()), version=1, updated_at=clock.now()
    )


def asked(work: Any) -> int:
    work()
    with CaptureQueriesContext(connection) as found:
        work()
    return len(found)


def test_the_page_and_its_sheet_ask_as_often_for_100_roles_and_200_capabilities(
    configured: Any, ada: User, browser_of: Any
) -> None:
    browser = browser_of(ada)
    counts = []
    for roles, capabilities in ((10, 20), (100, 200)):
        grow(roles, capabilities)
        page = browser.get("/matrix/").content.decode()
        assert page.count('class="mx-cell"') == (roles + 2) * (capabilities + 3)
        counts.append({path: asked(lambda path=path: browser.get(path)) for path in ("/matrix/", "/matrix/export/")})

    assert counts[0] == counts[1]
    assert counts[0]["/matrix/"] <= 25


def test_the_view_by_capability_asks_as_often_for_100_roles_and_200_capabilities(
    configured: Any, ada: User, browser_of: Any
) -> None:
    browser = browser_of(ada)
    counts = []
    query = "?by=capability&of=thing"
    for roles, capabilities in ((10, 20), (100, 200)):
        grow(roles, capabilities)
        page = browser.get(f"/matrix/{query}").content.decode()
        assert page.count('class="mx-cell"') == (roles + 2) * capabilities
        one = browser.get("/matrix/?by=capability&of=thing.do1").content.decode()
        assert one.count('class="mx-cell"') == roles + 2
        paths = [f"{path}{query}" for path in ("/matrix/", "/matrix/export/", "/matrix/print/")]
        counts.append({path: asked(lambda path=path: browser.get(path)) for path in paths})

    assert counts[0] == counts[1]
    assert counts[0][f"/matrix/{query}"] <= 25


def test_the_views_by_agent_and_person_ask_as_often_however_many_there_are(
    configured: Any, ada: User, browser_of: Any, person: Any
) -> None:
    browser = browser_of(ada)
    paths = [f"{path}?by={by}" for path in ("/matrix/", "/matrix/export/", "/matrix/print/") for by in ("agent", "person")]
    counts = []
    for roles, capabilities, more in ((10, 20, 2), (40, 60, 30)):
        for number in range(more):
            person(f"holder{roles}-{number}", "Support leads")
        agents(more)
        grow(roles, capabilities)
        page = browser.get("/matrix/?by=agent").content.decode()
        assert page.count('class="mx-cell"') == (more + 1) * (capabilities + 3)
        counts.append({path: asked(lambda path=path: browser.get(path)) for path in paths})

    assert counts[0] == counts[1]
    assert counts[0]["/matrix/?by=agent"] <= 25


def agents(count: int) -> None:
    """As many beside the one there is, each with two roles."""
    from aegis.core import canonical, clock

    owner = User.objects.get(username="ada")
    spec = {"owner": "ada", "roles": ["support-desk", "role-1"], "connector": {"python": "portal-test-agent"}}
    made = [document("Agent", f"agent-{number}", spec) for number in range(count)]
    known = set(Agent.objects.values_list("name", flat=True))
    for one in made:
        if one["metadata"]["name"] not in known:
            text = dump(one).decode()
            digest = canonical.digest(text.encode())
            name = one["metadata"]["name"]
            Agent.objects.create(name=name, document=text, digest=digest, version=1, updated_at=clock.now(), owner=owner)


def test_a_preview_asks_as_often_however_many_grants_stand(configured: Any, ada: User) -> None:
    """It lints every standing document again, and each grant asks for its capability, its policy and the locks."""
    role = document("Role", "role-0", {"grants": [{"capability": "thing.do0", "effect": "deny"}], "people": True})
    counts = []
    for roles, capabilities in ((5, 10), (15, 40)):
        grow(roles, capabilities)
        counts.append(asked(lambda: changes.preview([(Key("Role", "role-0"), role)], ada)))

    assert counts[0] == counts[1]
    assert counts[0] <= 60
