"""Every route of the portal. What no room answers falls to the admin site, which asks strangers to sign in."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("aegis.portal.urls")),
    path("", include("aegis.portal.alerts.urls")),
    path("api/v1/", include("aegis.portal.api_urls")),
    path("", include("approvals.urls")),
    path("", include("audit.urls")),
    path("", include("orchestration.urls")),
    path("", admin.site.urls),
]

handler400 = "aegis.portal.errors.bad_request"
handler403 = "aegis.portal.errors.permission_denied"
handler404 = "aegis.portal.errors.not_found"
handler500 = "aegis.portal.errors.server_error"
