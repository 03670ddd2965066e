"""Django's registration of the admin, with the hub's own site."""

from django.contrib.admin import apps


class HubAdminConfig(apps.SimpleAdminConfig):
    """The admin on ``terra_hub.site.HubAdminSite``.

    ``terra_hub.urls`` loads its classes: a worker or a command, which serves no page, starts without them.
    """

    default_site = "terra_hub.site.HubAdminSite"
