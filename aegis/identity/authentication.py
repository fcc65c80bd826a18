"""How a request to the API proves who it is."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from aegis.core.errors import NotAuthenticated
from aegis.identity import api_keys
from aegis.identity.models import User


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer aegis_<prefix>_<secret>`; makes `request.auth` "api_key:<prefix>", which `api.actor_of` reads."""

    scheme = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        """None without a Bearer header, so that a session may be tried; a header that is wrong is refused at once."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.scheme.lower().encode():
            return None
        if len(parts) != 2:
            raise NotAuthenticated("The Authorization header must read: Bearer aegis_…")
        try:
            token = parts[1].decode("ascii")
        except UnicodeDecodeError:
            raise NotAuthenticated("This API key is not valid") from None
        key = api_keys.authenticate(token)
        return key.owner, api_keys.auth_label(key)

    def authenticate_header(self, request: Request) -> str:
        return f'{self.scheme} realm="aegis"'


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself by being defined
    """How the OpenAPI document describes it."""

    target_class = "aegis.identity.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "aegis_<prefix>_<secret>"}


def person_of(request: Request) -> User:
    """The person a request acts for.

    Raises:
        NotAuthenticated
    """
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
