from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "aegis.portal"
    label = "portal"
