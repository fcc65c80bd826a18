"""The page on which a person changes his own password: the old one is proved as at sign-in, the new one set by the verb."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables

from aegis.core.actors import user_actor
from aegis.identity import people, signins
from aegis.identity.models import User


class OwnPasswordForm(PasswordChangeForm):
    """Django's form with our two verbs in it: a wrong old password is counted, recorded and locked out like one at sign-in."""

    def __init__(self, user: User, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.request = request

    @method_decorator(sensitive_variables("old_password"))
    def clean_old_password(self) -> str:
        old_password: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=old_password) != self.user:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old_password

    def save(self, commit: bool = True) -> User:
        people.set_password(self.user.pk, self.cleaned_data["new_password1"], actor=user_actor(self.user.pk, auth="session"))
        self.user.refresh_from_db(fields=["password"])  # the view keeps this session signed in by its hash
        return self.user


class OwnPasswordPage(PasswordChangeView):
    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        signins.remember_proof(self.request)
        return answer
