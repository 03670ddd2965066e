"""The groups viewer, operator and admin: terra_hub/roles.py has what each may do."""

from django.db import migrations

from terra_hub.roles import make_roles, remove_roles


def forwards(apps, schema_editor):
    make_roles(apps, schema_editor.connection.alias)


def backwards(apps, schema_editor):
    remove_roles(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('axes', '0001_initial'),
        ('destinations', '0002_notices_and_secrets'),
        ('webhooks', '0002_replays_and_tallies'),
    ]

    operations = [migrations.RunPython(forwards, backwards, elidable=False)]
