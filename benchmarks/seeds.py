"""What a hub that has run for days holds, as SQL that PostgreSQL runs by itself.

Of each event the number ``n`` says everything: its id (a UUID version 7 of its time), its user, its type. So
deliveries and attempts need no look-up. Shares of statuses, errors and types are made up, but of the kind that
an operator sees: a destination that is away with a long queue, one that refuses everything, many that are well.
"""

from collections.abc import Mapping
from typing import Any

LARGE = ("webhooks_event", "webhooks_delivery", "webhooks_attempt")
WAREHOUSE, AWAY, REFUSING = 0, 2, 3  # numbers of destinations: gets every event; is away; refuses everything
AWAY_SINCE = 0.1  # of the time that is filled: before that it was well

FUNCTIONS = (
    # A hash that spreads numbers, 0 to 2^31 - 1, another one for each salt.
    "CREATE OR REPLACE FUNCTION pg_temp.mix(n bigint, salt int) RETURNS bigint IMMUTABLE LANGUAGE sql AS "
    "$$ SELECT (hashint8extended(n, salt) & 2147483647) $$",
    """CREATE OR REPLACE FUNCTION pg_temp.event_id(n bigint, moment timestamptz) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    $$ SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
       || lpad(to_hex(n & 4095), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid $$""",
    "CREATE OR REPLACE FUNCTION pg_temp.number_of(id uuid) RETURNS bigint IMMUTABLE LANGUAGE sql AS "
    "$$ SELECT ('x' || right(id::text, 12))::bit(48)::bigint $$",
    # Small, so that two million fit; one in a thousand is as large as the database keeps.
    """CREATE OR REPLACE FUNCTION pg_temp.body(n bigint, type text, user_id text) RETURNS bytea IMMUTABLE
    LANGUAGE sql AS $$ SELECT convert_to('{"type":"' || type || '","user":{"user_id":"' || user_id || '"},"data":['
       || CASE WHEN n % 1000 = 0 THEN repeat('{"bpm":61,"timestamp":"2026-03-12T06:00:12+00:00"},', 1200) ELSE '' END
       || '{}]}', 'UTF8') $$""",
)

# Event n of {events} came at this time: evenly over {days} days, up to {end}.
AT = "('{end}'::timestamptz - {days} * interval '1 day' * (1 - n::float8 / {events}))"

EVENTS = """
INSERT INTO webhooks_event (id, source_id, idempotency_key, type, user_id, reference_id, provider, terra_reference,
    ordering_timestamp, headers, size, received_at)
SELECT id, source, key, type, user_id, reference_id, provider, terra_reference, ordering, headers,
    octet_length(pg_temp.body(n, type, user_id)), moment
FROM (SELECT n, moment, pg_temp.event_id(n, moment) AS id,
    CASE WHEN n % 20 = 0 THEN staging.id ELSE bench.id END AS source, 'trace:' || trace AS key,
    (ARRAY['daily','daily','daily','daily','daily','daily','sleep','sleep','sleep','activity','activity','activity',
     'activity','body','body','nutrition','menstruation','athlete','auth','large_request_processing'])
     [1 + pg_temp.mix(n, 1) % 20] AS type,
    md5('user' || u)::uuid::text AS user_id, 'customer-' || u AS reference_id,
    (ARRAY['GARMIN','FITBIT','OURA','APPLE','WHOOP','POLAR','WITHINGS','GOOGLE'])[1 + u % 8] AS provider,
    CASE WHEN n % 20 = 7 THEN 'chunked-' || n / 1000 ELSE md5('ref' || n) END AS terra_reference,
    extract(epoch FROM moment) * 1000 AS ordering,
    jsonb_build_object('content-type', 'application/json', 'terra-reference', md5('ref' || n),
     'x-terra-trace-id', trace, 'user-agent', 'Terra') AS headers
FROM (SELECT n, {at} AS moment, pg_temp.mix(n, 2) % {users} AS u, md5('trace' || n) AS trace
      FROM generate_series(1, {events}::bigint) n) s,
    (SELECT id FROM webhooks_source WHERE slug = 'bench') bench,
    (SELECT id FROM webhooks_source WHERE slug = 'staging') staging) s
"""
PAYLOADS = """
INSERT INTO webhooks_payload (event_id, body, sha256)
SELECT id, body, sha256(body)
FROM (SELECT id, pg_temp.body(pg_temp.number_of(id), type, user_id) AS body FROM webhooks_event) s
"""
# Every event goes to the warehouse and to one or two of the others; every fourth also to the one that is away.
DELIVERIES = """
INSERT INTO webhooks_delivery (event_id, destination_id, status, attempt_count, retry_count, next_attempt_at,
    last_error_code, created_at, settled_at)
SELECT pg_temp.event_id(n, moment), d.id, status,
    CASE WHEN untried THEN 0 ELSE 1 + h % 3 + (h % 100 = 0)::int END,
    CASE WHEN status = 'pending' THEN h % 3 ELSE 0 END,
    CASE WHEN status = 'pending' THEN now() + ((h % 86400) - 43200) * interval '1 second' END,
    CASE WHEN status IN ('pending', 'dead') AND NOT untried THEN
      (ARRAY['http_503','timeout_answer','http_500','connection_refused','http_401','http_422','tls_failed'])
      [CASE WHEN target = {away} THEN 1 WHEN target = {refusing} THEN 6 ELSE 1 + h % 7 END] ELSE '' END,
    moment, CASE WHEN status <> 'pending' THEN moment + interval '2 seconds' END
FROM (SELECT *, status = 'pending' AND h % 3 = 0 AND target <> {away} AS untried FROM (
    SELECT n, moment, target, pg_temp.mix(n * 1000 + target, 5) AS h,
        CASE WHEN target = {away} AND n > {events} * {away_since} THEN 'pending' WHEN target = {refusing} THEN 'dead'
             WHEN pg_temp.mix(n * 1000 + target, 6) % 1000 < 3 AND n > {events} * 0.9 THEN 'pending'
             WHEN pg_temp.mix(n * 1000 + target, 6) % 1000 < 12 THEN 'dead'
             WHEN pg_temp.mix(n * 1000 + target, 6) % 1000 < 14 THEN 'cancelled' ELSE 'delivered' END AS status
    FROM (SELECT n, {at} AS moment, {warehouse} AS one, CASE WHEN n % 4 = 0 THEN {away} END AS two,
              3 + pg_temp.mix(n, 7) % ({destinations} - 3) AS three,
              CASE WHEN n % 4 = 1 THEN 3 + (1 + pg_temp.mix(n, 7)) % ({destinations} - 3) END AS four
          FROM generate_series(1, {events}::bigint) n) e,
        LATERAL (VALUES (one), (two), (three), (four)) t(target)
    WHERE target IS NOT NULL) q) s
JOIN seed_destination d ON d.number = s.target
ORDER BY n
"""
ATTEMPTS = """
INSERT INTO webhooks_attempt (delivery_id, number, started_at, duration_ms, outcome, status_code, error_code,
    error_detail, hint, request, response, trigger, worker)
SELECT d.id, number, d.created_at + number * interval '30 seconds', 5 + pg_temp.mix(d.id * 10 + number, 8) % 400,
    CASE WHEN well THEN 'delivered' WHEN d.status = 'dead' AND number = d.attempt_count THEN 'rejected'
         ELSE 'failed' END,
    CASE WHEN well THEN 200 WHEN code LIKE 'http%' THEN right(code, 3)::int END, CASE WHEN well THEN '' ELSE code END,
    CASE WHEN well THEN '' ELSE 'It answered with an error: ' || code END,
    CASE WHEN well THEN '' ELSE 'Look at the log of the other side.' END,
    jsonb_build_object('method', 'POST', 'headers', jsonb_build_object('webhook-id', d.event_id)),
    CASE WHEN well THEN '{{"body": "ok"}}'::jsonb
         ELSE '{{"body": "try again later", "headers": {{"server": "nginx"}}}}' END,
    CASE WHEN number > 1 AND d.id % 50 = 0 THEN 'resend' ELSE 'schedule' END, 'worker-1:' || d.id / 500
FROM (SELECT d.*, number, status = 'delivered' AND number = attempt_count AS well,
          coalesce(nullif(last_error_code, ''), 'http_503') AS code
      FROM webhooks_delivery d, LATERAL generate_series(1, d.attempt_count) number) d
"""
QUARANTINE = """
INSERT INTO webhooks_quarantinedrequest (id, source_id, reason, detail, remote_address, headers, body, size,
    received_at)
SELECT pg_temp.event_id(n, moment), (SELECT id FROM webhooks_source WHERE slug = 'bench'),
    (ARRAY['signature_mismatch','signature_missing','ip_not_allowed','invalid_payload'])[1 + n % 4],
    'It does not fit any secret of this source.', '198.51.100.7', '{{"content-type": "application/json"}}', '\\x7b7d',
    2, moment
FROM (SELECT n, now() - n * interval '1 minute' AS moment FROM generate_series(1, 10000) n) s
"""
RECEIVED = """
INSERT INTO webhooks_receivedtally (source_id, period_s, starts_at, writer, events, bytes)
SELECT s.id, p.period, to_timestamp(floor(extract(epoch FROM now()) / p.period) * p.period - n * p.period), 'seed',
    greatest(1, ({events} / {days} / 86400 * p.period)::int), 20000 * p.period
FROM webhooks_source s, (VALUES (60, 2880), (3600, {days} * 24)) p(period, most), LATERAL generate_series(0, most) n
"""
DELIVERED = """
INSERT INTO webhooks_deliveredtally (destination_id, period_s, starts_at, writer, delivered, failed, rejected,
    ms_25, ms_100, ms_500, ms_more)
SELECT d.id, p.period, to_timestamp(floor(extract(epoch FROM now()) / p.period) * p.period - n * p.period), 'seed',
    h + 4, h % 2, (h = 7)::int, h, 2, 2 + h % 2, (h = 7)::int
FROM seed_destination d, (VALUES (60, 2880), (3600, {days} * 24)) p(period, most),
    LATERAL generate_series(0, most) n, LATERAL (SELECT pg_temp.mix(n * 1000 + d.number, 9) % 9 AS h) x
"""
REPLAYS = """
INSERT INTO webhooks_replay (kind, selection, destination_ids, status, estimate, looked_at, queued, created_by,
    created_at, finished_at)
SELECT (ARRAY['failed','matching','missing','chosen'])[1 + n % 4], '{{"type": "sleep"}}', jsonb_build_array(d.id),
    (ARRAY['done','done','done','cancelled','paused','stopped'])[1 + n % 6], 1000, 1000, 1000, 'bench',
    now() - n * interval '1 hour', now() - n * interval '59 minutes'
FROM generate_series(1, 200) n JOIN seed_destination d ON d.number = n % {destinations}
"""
NOTICES = """
INSERT INTO destinations_notice (destination_id, kind, text, created_at, sent_at)
SELECT d.id, 'failing_50', 'Nothing but failures for 60 hours.', now() - n * interval '1 hour', now()
FROM generate_series(1, 2000) n JOIN seed_destination d ON d.number = n % {destinations}
"""
HISTORY = """
INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr, action_flag,
    change_message)
SELECT now() - n * interval '1 minute', u.id, t.id, d.id::text, 'Destination', 2, 'Checked.'
FROM generate_series(1, 20000) n JOIN seed_destination d ON d.number = n % {destinations},
    (SELECT id FROM auth_user LIMIT 1) u,
    (SELECT id FROM django_content_type WHERE app_label = 'destinations' AND model = 'destination') t
"""
GROUPS = "INSERT INTO auth_group (name) SELECT 'Team ' || n FROM generate_series(1, 20) n"
HEALTH = """
UPDATE destinations_destination d SET failing_since = CASE WHEN s.bad THEN now() - interval '20 hours' END,
    consecutive_failures = CASE WHEN s.bad THEN 40 ELSE 0 END, check_passed = NOT s.bad, checked_at = now(),
    paused = s.number % 40 = 10, active = s.number % 50 <> 11
FROM (SELECT *, number IN (2, 3) OR number % 25 = 5 AS bad FROM seed_destination) s WHERE s.id = d.id
"""
# A replay's deliveries: what is linked to it is found by its own index.
OF_REPLAYS = """
UPDATE webhooks_delivery d SET replay_id = 1 + d.id % 200 WHERE d.id % 250 = 0
"""
FILLS = (
    ("webhooks_event", EVENTS),
    ("webhooks_payload", PAYLOADS),
    ("webhooks_replay", REPLAYS),
    ("webhooks_delivery", DELIVERIES),
    ("webhooks_delivery", OF_REPLAYS),
    ("webhooks_attempt", ATTEMPTS),
    ("webhooks_quarantinedrequest", QUARANTINE),
    ("webhooks_receivedtally", RECEIVED),
    ("webhooks_deliveredtally", DELIVERED),
    ("destinations_notice", NOTICES),
    ("django_admin_log", HISTORY),
    ("auth_group", GROUPS),
    ("destinations_destination", HEALTH),
)


def sql_of(fill: str, sizes: Mapping[str, Any]) -> str:
    """Return a fill's SQL for a hub of these sizes, whose last event came at ``sizes["end"]``."""
    names = {"warehouse": WAREHOUSE, "away": AWAY, "refusing": REFUSING, "away_since": AWAY_SINCE, **sizes}
    return fill.format(at=AT.format(**names), **names)
