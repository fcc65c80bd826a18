"""Addresses of runs, review queues, guards. Filters and lanes live in the query string, so that a link reproduces the view."""

from django.urls import include, path

from orchestration.pages import agents, credentials, deadletters, erasures, guards, retiring, review, runs

_runs = [
    path("", runs.list_page, name="list"),
    path("<uuid:run_id>/", runs.run_page, name="run"),
    path("<uuid:run_id>/events/<int:seq>/", runs.event_page, name="event"),
    path("<uuid:run_id>/evidence/", runs.evidence, name="evidence"),
    path("<uuid:run_id>/cancel/", runs.cancel, name="cancel"),
    path("<uuid:run_id>/retry/", runs.retry, name="retry"),
    path("<uuid:run_id>/rollback/", runs.rollback, name="rollback"),
]

_review = [
    path("", review.list_page, name="list"),
    path("<uuid:item_id>/", review.item_page, name="item"),
    path("<uuid:item_id>/claim/", review.claim, name="claim"),
    path("<uuid:item_id>/release/", review.release, name="release"),
    path("<uuid:item_id>/complete/", review.complete, name="complete"),
    path("<uuid:item_id>/retry/", review.retry, name="retry"),
    path("<uuid:item_id>/cancel/", review.cancel, name="cancel"),
    path("<uuid:item_id>/happened/", review.happened, name="happened"),
    path("<uuid:item_id>/not-happened/", review.not_happened, name="not-happened"),
    path("<uuid:item_id>/leave/", review.leave, name="leave"),
]

_deadletters = [
    path("", deadletters.list_page, name="list"),
    path("review/", deadletters.review, name="review"),
    path("redrive/", deadletters.redrive, name="redrive"),
]

_guards = [
    path("", guards.list_page, name="list"),
    path("halt/", guards.halt, name="halt"),
    path("<uuid:halt_id>/resume/", guards.resume, name="resume"),
    path("breakers/<str:kind>/<str:name>/open/", guards.switch, {"way": "open"}, name="open"),
    path("breakers/<str:kind>/<str:name>/close/", guards.switch, {"way": "close"}, name="close"),
]

_agents = [
    path("<str:name>/disable/", agents.switch, {"way": "disable"}, name="disable"),
    path("<str:name>/enable/", agents.switch, {"way": "enable"}, name="enable"),
    path("<str:name>/secrets/issue/", credentials.issue, name="issue"),
    path("<str:name>/secrets/<str:prefix>/revoke/", credentials.revoke, name="revoke"),
]

_erasures = [
    path("", erasures.list_page, name="list"),
    path("ask/", erasures.ask, name="ask"),
    path("holds/place/", erasures.place, name="place"),
    path("holds/lift/", erasures.lift, name="lift"),
]

_workflows = [path("<str:name>/retire/", retiring.retire, name="retire")]

urlpatterns = [
    path("agents/", include((_agents, "agents"))),
    path("workflows/", include((_workflows, "workflows"))),
    path("erasures/", include((_erasures, "erasures"))),
    path("guards/", include((_guards, "guards"))),
    path("runs/", include((_runs, "runs"))),
    path("review/", include((_review, "review"))),
    path("dead-letters/", include((_deadletters, "deadletters"))),
]
