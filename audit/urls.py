"""The pages of audit."""

from django.urls import path

from audit import history_page, pages

app_name = "audit"

urlpatterns = [
    path("audit/", pages.list_page, name="list"),
    path("audit/history/", history_page.history_page, name="history"),
    path("audit/export/", pages.export, name="export"),
    path("audit/verify/", pages.verify_page, name="verify"),
    path("audit/events/<str:stream>/<int:seq>/", pages.event_page, name="event"),
    path("audit/events/<str:stream>/<int:seq>/panel/", pages.panel, name="panel"),
]
