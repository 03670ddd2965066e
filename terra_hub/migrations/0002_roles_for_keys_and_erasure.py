"""What groups that nobody has changed may do besides: cancel deliveries, erase people, hand out API keys."""

from django.db import migrations

from terra_hub.roles import ROLES, make_roles

NEW = frozenset((
    "webhooks.view_erasure", "webhooks.add_erasure", "webhooks.change_erasure", "webhooks.cancel_delivery",
    "destinations.view_apikey", "destinations.add_apikey", "destinations.change_apikey",
))


def forwards(apps, schema_editor):
    before = {name: permissions - NEW for name, permissions in ROLES.items()}
    make_roles(apps, schema_editor.connection.alias, before)


class Migration(migrations.Migration):

    dependencies = [
        ('terra_hub', '0001_roles'),
        ('destinations', '0005_api_keys'),
        ('webhooks', '0008_erasure_and_retention'),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop, elidable=False)]
