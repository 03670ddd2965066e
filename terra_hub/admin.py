"""The admin site of the hub."""

from unfold.sites import UnfoldAdminSite


class HubAdminSite(UnfoldAdminSite):
    """Unfold's site under the hub's name."""

    site_title = "Terra destination hub"
    site_header = "Terra destination hub"
    index_title = "Overview"
    enable_nav_sidebar = True
