"""The SQL that an operator pastes into Supabase's SQL editor: PostgREST can make no table."""

from collections.abc import Iterator

from destinations.adapters.rows import TABLES, USERS, Table
from destinations.adapters.supabase_config import SupabaseConfig


def setup_text(config: SupabaseConfig) -> str:
    """Return the script with this destination's names in it; to run it again does no harm."""
    return "\n".join(_lines(config))


def _lines(config: SupabaseConfig) -> Iterator[str]:
    schema = _identifier(config.schema)
    bucket = config.bucket.replace("'", "''")
    yield "-- Paste this into the SQL editor of your Supabase project and run it."
    yield "-- The bucket for payloads: private, so that only your keys can read it."
    yield "INSERT INTO storage.buckets (id, name, public)"
    yield f"  VALUES ('{bucket}', '{bucket}', false) ON CONFLICT DO NOTHING;"
    if config.schema != "public":
        yield "-- Also add the schema in Project Settings, Data API, Exposed schemas."
        yield f"CREATE SCHEMA IF NOT EXISTS {schema};"
        yield f"GRANT USAGE ON SCHEMA {schema} TO service_role;"
    for table in TABLES:
        yield from _table(table, schema)
    yield "NOTIFY pgrst, 'reload schema';"


def _table(table: Table, schema: str) -> Iterator[str]:
    place = f"{schema}.{table.name}"
    columns = (f"{one.name} {'timestamptz' if one.is_moment else 'text'}" for one in table.columns)
    yield f"CREATE TABLE IF NOT EXISTS {place} ({', '.join(columns)}, PRIMARY KEY ({table.key}));"
    if table is not USERS:
        yield f"CREATE INDEX IF NOT EXISTS {table.name}_user_id_created_at ON {place} (user_id, created_at);"
    # Without this, the project's public key could read the table; the service role passes by policies.
    yield f"ALTER TABLE {place} ENABLE ROW LEVEL SECURITY;"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {place} TO service_role;"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
