from django.db import migrations, models

# Which error codes a delivery can have depends on its status; without knowing that, PostgreSQL takes a hundredth of
# the deliveries that failed with a code, and sorts all of them where an index has them in order.
NAME = "delivery_status_and_error"


def add_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE STATISTICS {NAME} (mcv) ON status, last_error_code FROM webhooks_delivery")


def drop_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP STATISTICS {NAME}")


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0005_indexes_of_lists"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="delivery", name="delivery_due"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["destination", "next_attempt_at", "id"],
                name="delivery_due",
            ),
        ),
        migrations.RunPython(add_statistics, drop_statistics),
    ]
