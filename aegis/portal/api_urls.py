"""The API root: what each room offers, under one version."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.views import APIView

from aegis.core.errors import NotFound


class Nowhere(APIView):
    """Unknown addresses under the API answer with a problem document too, and only to those who signed in."""

    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound


urlpatterns = [
    path("", include("orchestration.api")),
    path("", include("orchestration.api_deadletters")),
    path("", include("orchestration.api_guards")),
    path("", include("orchestration.api_access")),
    path("", include("orchestration.api_reviews")),
    path("", include("orchestration.api_agents")),
    path("", include("orchestration.api_contracts")),
    path("", include("orchestration.api_routing")),
    path("", include("orchestration.api_messages")),
    path("", include("orchestration.api_workflows")),
    path("", include("aegis.portal.api_emergency")),
    path("", include("audit.api")),
    path("", include("approvals.api")),
    path("", include("approvals.api_handling")),
    path("", include("approvals.api_advice")),
    path("", include("approvals.alerts.api")),
    path("openapi", login_not_required(SpectacularAPIView.as_view()), name="api-schema"),
    re_path(r"^.*$", Nowhere.as_view()),
]
