"""Django's registration of the admin, with the hub's own site."""

from django.contrib.admin import apps


class HubAdminConfig(apps.AdminConfig):
    """The admin on ``terra_hub.site.HubAdminSite``."""

    default_site = "terra_hub.site.HubAdminSite"
