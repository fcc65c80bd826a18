"""Every route of the resolver and of the API's schema stands in `permissions.yaml`, and nothing stands there that is gone."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import path, reverse
from drf_spectacular.generators import SchemaGenerator

from aegis.identity.models import User
from tests.oracles.visibility_oracle import load, unlisted
from tests.permissions import asking
from tests.permissions.world import World


def test_every_route_is_classified() -> None:
    without_entry, without_path = unlisted(asking.paths(), load())
    assert without_entry == [], f"new routes: say in {asking.WHERE} what they ask"
    assert without_path == [], "entries of routes that are gone: take them out of tests/oracles/permissions.yaml"


def test_every_operation_of_the_schema_is_a_method_of_its_entry() -> None:
    listed = {
        (entry["path"], method) for entry in load()["routes"] if entry["door"] == "api" for method in entry["methods"]
    } - {(reverse("api-schema"), "GET")}  # the schema does not tell of itself
    described = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    operations = {(where, method.upper()) for where, methods in described.items() for method in methods}
    assert operations - listed == set(), f"operations without an entry: say in {asking.WHERE} what they ask"
    # What the schema leaves out, so that no operation hides from it.
    assert listed - operations == set()


def test_a_new_route_is_named_with_the_places_where_it_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis import urls

    added = [*urls.urlpatterns, path("side-door/<uuid:thing>/", lambda request, thing: None)]
    monkeypatch.setattr(urls, "urlpatterns", added)
    monkeypatch.setattr(asking, "get_resolver", lambda: type("Resolver", (), {"url_patterns": added}))
    assert unlisted(asking.paths(), load())[0] == ["/side-door/{thing}/"]
    with pytest.raises(AssertionError, match=r"asking\.py.*permissions\.yaml"):
        asking.addresses(World({}, {}, uuid4(), 0, User()), "side-door", "side-door/<uuid:thing>/", "own")
