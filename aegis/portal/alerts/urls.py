"""The pages of alerts."""

from django.urls import path

from aegis.portal.alerts import views

app_name = "alerts"

urlpatterns = [
    path("alerts/", views.list_page, name="list"),
    path("alerts/<uuid:episode_id>/", views.episode, name="episode"),
    path("alerts/<uuid:episode_id>/do/<str:verb>/", views.act, name="act"),
    path("alerts/rules/<str:rule>/", views.rule_view, name="rule"),
    path("alerts/rules/<str:rule>/silence/", views.silence_rule, name="silence-rule"),
    path("alerts/silences/<uuid:silence_id>/end/", views.end_silence, name="end-silence"),
]
