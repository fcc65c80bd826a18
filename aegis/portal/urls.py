"""Pages of the portal itself. Home is the admin site's index."""

from django.urls import path

from aegis.portal import account, health, search

app_name = "portal"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("csp-report/", health.csp_report, name="csp-report"),
    path("search/", search.find, name="search"),
    path("account/shortcuts/", account.set_shortcuts, name="shortcuts"),
]
