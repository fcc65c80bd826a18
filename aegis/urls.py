"""Every route of the portal. Rooms bring their own paths; what nobody answers falls to the admin site, which asks for sign-in."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

_ROOMS = ("approvals.urls", "audit.urls", "orchestration.urls")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("aegis.portal.urls")),
    path("api/v1/", include("aegis.portal.api_urls")),
    *(path("", include(room)) for room in _ROOMS if find_spec(room)),
    path("", admin.site.urls),
]

handler400 = "aegis.portal.errors.bad_request"
handler403 = "aegis.portal.errors.permission_denied"
handler404 = "aegis.portal.errors.not_found"
handler500 = "aegis.portal.errors.server_error"
