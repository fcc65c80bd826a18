"""Pages of the portal itself. Home is the admin site's index."""

from django.urls import path

from aegis.portal import account, emergency, health, home, search
from aegis.portal.governed import pages
from aegis.portal.matrix import editing as matrix_editing
from aegis.portal.matrix import explaining as matrix_explaining
from aegis.portal.matrix import export as matrix_export
from aegis.portal.matrix import pairs as matrix_pairs
from aegis.portal.matrix import reviews as matrix_reviews
from aegis.portal.matrix import unused as matrix_unused
from aegis.portal.matrix import views as matrix
from aegis.portal.metrics import prometheus
from aegis.portal.metrics import views as metrics
from aegis.portal.permissions import views as permissions
from aegis.portal.saved import views as saved

app_name = "portal"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("csp-report/", health.csp_report, name="csp-report"),
    path("search/", search.find, name="search"),
    path("open/<str:kind>/", pages.open_by_name, name="open"),
    path("home/part/", home.part, name="home-part"),
    path("matrix/", matrix.matrix_page, name="matrix"),
    path("matrix/why/", matrix.why_page, name="matrix-why"),
    path("matrix/who/", matrix_explaining.who_page, name="matrix-who"),
    path("matrix/what/", matrix_explaining.what_page, name="matrix-what"),
    path("matrix/capabilities/", matrix_pairs.pair_page, name="matrix-pair"),
    path("matrix/unused/", matrix_unused.unused_page, name="matrix-unused"),
    path("matrix/unused/drop/", matrix_unused.drop, name="matrix-drop"),
    path("matrix/reviews/", matrix_reviews.reviews_page, name="matrix-reviews"),
    path("matrix/reviews/role/", matrix_reviews.role_page, name="matrix-role-review"),
    path("matrix/cell/", matrix_editing.cell_page, name="matrix-cell"),
    path("matrix/review/", matrix_editing.review_page, name="matrix-review"),
    path("matrix/export/", matrix_export.export, name="matrix-export"),
    path("matrix/print/", matrix_export.print_page, name="matrix-print"),
    path("matrix/discard/", matrix_editing.discard, name="matrix-discard"),
    path("permissions/", permissions.list_page, name="permissions"),
    path("permissions/join/", permissions.join, name="permissions-join"),
    path("permissions/leave/", permissions.leave, name="permissions-leave"),
    path("permissions/groups/<int:group_id>/", permissions.group_page, name="permissions-group"),
    path("permissions/groups/<int:group_id>/grant/", permissions.grant, name="permissions-grant"),
    path("permissions/groups/<int:group_id>/revoke/", permissions.revoke, name="permissions-revoke"),
    path("permissions/people/<uuid:person_id>/", permissions.person_page, name="permissions-person"),
    path("emergency/", emergency.list_page, name="emergency"),
    path("emergency/take/", emergency.take, name="emergency-take"),
    path("emergency/<uuid:taken_id>/end/", emergency.end, name="emergency-end"),
    path("emergency/<uuid:taken_id>/review/", emergency.review, name="emergency-review"),
    path("metrics/", metrics.page, name="metrics"),
    path("metrics/approvals/", metrics.approvals_page, name="metrics-approvals"),
    path("metrics/prometheus", prometheus.scrape, name="prometheus"),
    path("views/", saved.list_page, name="views"),
    path("views/open/<str:page>/", saved.open_first, name="views-open"),
    path("views/save/", saved.save, name="views-save"),
    path("views/<uuid:view_id>/", saved.view, name="views-view"),
    path("views/<uuid:view_id>/change/", saved.change, name="views-change"),
    path("views/<uuid:view_id>/delete/", saved.delete, name="views-delete"),
    path("views/<uuid:view_id>/first/", saved.first, name="views-first"),
    path("views/<uuid:view_id>/subscribe/", saved.subscribe, name="views-subscribe"),
    path("views/<uuid:view_id>/unsubscribe/", saved.unsubscribe, name="views-unsubscribe"),
    path("account/shortcuts/", account.set_shortcuts, name="shortcuts"),
]
