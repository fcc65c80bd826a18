"""Signing in, and nothing else: Django's model permissions grant nothing in AEGIS (DESIGN 6).

Rights are guardian grants to groups, read by `visible_to`. `user.has_perm` is True for superusers only, which is what keeps the
stock user pages within their reach; no rule of ours asks it.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest


class PersonBackend(ModelBackend):
    """User name and password. Holds no permissions, whatever rows of django.contrib.auth say."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        if request is not None:
            # Not reached while axes holds the lock: `signins` records tries that were judged, not those that met the lock.
            request.password_was_checked = True  # type: ignore[attr-defined]
        return super().authenticate(request, username=username, password=password, **kwargs)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return False
