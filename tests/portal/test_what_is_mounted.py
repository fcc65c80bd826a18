"""Only restricted admins exist, whatever libraries register; nothing can be written or granted through a stock page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django_q.models import OrmQ, Schedule, Task

from aegis.core.admin import RestrictedAdmin
from aegis.identity.models import User
from orchestration.agents.models import Agent
from tests.portal.routes import addresses, governed_rows

pytestmark = pytest.mark.django_db

PUBLIC = {"/healthz", "/login/", "/csp-report/"}
OPENED_BY_A_TOKEN = {"/metrics/prometheus"}  # 404 to whoever has none


def test_only_restricted_admins_are_mounted() -> None:
    assert admin.site._registry
    assert all(isinstance(one, RestrictedAdmin) for one in admin.site._registry.values())


def test_queue_lockout_and_permission_admins_are_not_mounted() -> None:
    mounted = {model._meta.app_label for model in admin.site._registry}
    assert mounted <= {"identity", "approvals", "orchestration"}
    for model in (OrmQ, Schedule, Task, Group, *apps.get_app_config("guardian").get_models()):
        assert not admin.site.is_registered(model)


def test_a_library_cannot_mount_its_admin_later() -> None:
    admin.site.register(Schedule, ModelAdmin)
    admin.site.register(Schedule)
    assert not admin.site.is_registered(Schedule)


def test_no_route_answers_strangers_but_the_declared_ones(configured: object, client: Client) -> None:
    for address in addresses(governed_rows()):
        answer = client.get(address)
        if address in PUBLIC:
            assert answer.status_code in (200, 405), address
        elif address in OPENED_BY_A_TOKEN:
            assert answer.status_code == 404, address
        else:
            is_asked_to_sign_in = answer.status_code == 302 and answer.headers["Location"].startswith("/login/")
            assert is_asked_to_sign_in or answer.status_code in (401, 405), (address, answer.status_code)


def test_unknown_addresses_ask_strangers_to_sign_in(client: Client) -> None:
    for address in ("/nothing/", "/admin/", "/orchestration/agent/1/delete/", "/x/healthz"):
        assert client.get(address).headers.get("Location", "").startswith("/login/"), address


#: Handing these out is an event, and nothing else (tests/portal/test_matrix_views.py).
ON_RECORD = ("/matrix/export/", "/matrix/print/")


def database_digest() -> str:
    """Of every row of every table, but sessions (reading one may renew it) and the migrations."""
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table in ("django_session", "django_migrations"):
                continue
            cursor.execute(f'SELECT * FROM "{table}"')
            digest.update(table.encode())
            for row in sorted(map(repr, cursor.fetchall())):
                digest.update(row.encode())
    return digest.hexdigest()


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_reading_any_page_changes_nothing(
    configured: object, ada: User, root: User, browser_of: Callable[..., Client], method: str
) -> None:
    for person in (ada, root):
        browser = browser_of(person)
        before = database_digest()
        for address in addresses(governed_rows()):
            if method == "get" and address.startswith(ON_RECORD):
                continue
            getattr(browser, method)(address)
        assert database_digest() == before


@pytest.mark.parametrize("page", ["delete/", "change/", "history/1/", "permissions/", "permissions/user-manage/1/"])
def test_stock_pages_that_write_do_not_exist(
    configured: object, ada: User, root: User, browser_of: Callable[..., Client], page: str
) -> None:
    agent = Agent.objects.get()
    for person in (ada, root):
        answer = browser_of(person).post(f"/orchestration/agent/{agent.pk}/{page}", {"name": "changed", "post": "yes"})
        assert answer.status_code in (404, 405), page
    assert Agent.objects.get().name == agent.name


def test_history_pages_refuse_every_writing_method(configured: object, ada: User, browser_of: Callable[..., Client]) -> None:
    agent = Agent.objects.get()
    browser = browser_of(ada)
    before = database_digest()
    for page in ("", "history/", "history/1/"):
        for method in ("post", "put", "patch", "delete"):
            answer = getattr(browser, method)(f"/orchestration/agent/{agent.pk}/{page}", {"name": "x"})
            assert answer.status_code == 405, (page, method)
    assert database_digest() == before


def test_changing_a_list_by_post_is_refused(
    configured: object, ada: User, root: User, browser_of: Callable[..., Client]
) -> None:
    browsers = [browser_of(ada), browser_of(root)]
    before = database_digest()
    form = {"action": "delete_selected", "_selected_action": str(Agent.objects.get().pk), "form-TOTAL_FORMS": "1", "_save": "x"}
    for browser in browsers:
        browser.post("/orchestration/agent/", form)
    assert database_digest() == before


@pytest.mark.parametrize(
    "query",
    [
        "document__contains=calm",
        "owner__password__startswith=a",
        "digest__startswith=a",
        "owner__username=ada",
        "history__id=1",
    ],
)
def test_a_list_cannot_be_used_as_an_oracle(
    configured: object, ada: User, browser_of: Callable[..., Client], query: str
) -> None:
    answer = browser_of(ada).get(f"/orchestration/agent/?{query}")
    assert answer.status_code in (302, 400)


def test_the_people_list_is_for_those_who_may_see_people(
    ada: User, olivia: User, root: User, browser_of: Callable[..., Client]
) -> None:
    assert "olivia" in browser_of(ada).get("/identity/user/").content.decode()
    for person in (olivia, root):
        assert "ada" not in browser_of(person).get("/identity/user/").content.decode().split("<main")[1]
    assert browser_of(ada).get(f"/identity/user/{ada.pk}/").status_code == 404
    assert browser_of(ada).get(f"/identity/user/{uuid4()}/password/").status_code == 404
