"""Addresses of the approvals inbox. Tab and filters live in the query string, so that a link reproduces the view."""

from django.urls import path

from approvals.pages import delegating, givingup, noticing, together, views

app_name = "approvals"

urlpatterns = [
    path("approvals/", views.inbox_page, name="inbox"),
    path("approvals/together/", together.together, name="together"),
    path("approvals/delegations/", delegating.delegations_page, name="delegations"),
    path("approvals/delegations/<uuid:delegation_id>/end/", delegating.end_delegation, name="delegation-end"),
    path("approvals/notifications/", noticing.notices_page, name="notices"),
    path("approvals/notifications/given-up/", givingup.given_up_page, name="given-up"),
    path("approvals/notifications/given-up/again/", givingup.again, name="given-up-again"),
    path("approvals/<uuid:request_id>/", views.request_page, name="request"),
    path("approvals/<uuid:request_id>/pulse/", views.pulse, name="pulse"),
    path("approvals/<uuid:request_id>/do/<slug:verb>/", views.handle, name="handle"),
    path("approvals/<uuid:request_id>/edit/", views.edit, name="edit"),
    path("approvals/<uuid:request_id>/decide/", views.decide, name="decide"),
]
