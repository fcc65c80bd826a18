"""How a request to the API proves who it is."""

from __future__ import annotations

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
