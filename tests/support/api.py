"""The API as a person calls it, inside the test's process and transaction."""

from __future__ import annotations

from rest_framework.test import APIClient

from aegis.identity.models import User


def client_of(person: User) -> APIClient:
    """Signed in as `person`."""
    client = APIClient()
    client.force_authenticate(person)
    return client
