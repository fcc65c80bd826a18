"""The composition root: admin site, navigation, home, health."""

from django.apps import AppConfig
from django.contrib.admin import apps as stock  # not the class itself: Django would take it for ours


class PortalConfig(AppConfig):
    name = "aegis.portal"
    label = "portal"
    default = True

    def ready(self) -> None:
        from aegis.core import commands
        from aegis.portal import checks  # noqa: F401  (registers the system checks)
        from aegis.portal.demo import command
        from aegis.portal.saved import events, telling
        from approvals.notices import followed
        from audit import catalogue

        catalogue.register(*events.TYPES)
        followed.register(telling.Views())
        commands.register("demo", command.HELP, command.add_arguments, command.handle)


class PortalAdminConfig(stock.AdminConfig):
    """django.contrib.admin with our site as the default: what is not restricted is not mounted (`portal.site`)."""

    default_site = "aegis.portal.site.AegisSite"
    default = False
