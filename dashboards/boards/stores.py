"""PostgreSQL, Redis and the caches: use, saturation, errors, from inside and as the platform sees them."""

from dashboards.boards.board import Board, Row, job
from dashboards.boards.panels import Query, falling, lines, number, rising, rows
from dashboards.boards.requests import RATE, or_nought, quantile, rate_by

_JOB = 'job="$job"'
_PG = 'job="$pg_job"'
_PG_DATABASES = 'job="$pg_job", datname!~"template.*|"'
_REDIS = 'job="$redis_job"'

_POSTGRES = Row(
    "PostgreSQL, by its exporter",
    [
        number("Up", "Whether it answers.", "none", Query(f"min(pg_up{{{_PG}}})", "up"), thresholds=falling(1, 1)),
        number(
            "Connections taken",
            "Of those that there may be.",
            "percentunit",
            Query(f"sum(pg_stat_database_numbackends{{{_PG}}}) / max(pg_settings_max_connections{{{_PG}}})", "taken"),
            thresholds=rising(0.6, 0.8),
        ),
        number(
            "Longest transaction",
            "It keeps vacuum from its work, and may hold locks.",
            "s",
            Query(f"max(pg_stat_activity_max_tx_duration{{{_PG}}})", "open"),
            thresholds=rising(60, 600),
        ),
        number(
            "Read from memory",
            "The share of pages that PostgreSQL found in its own cache.",
            "percentunit",
            Query(
                f"sum(rate(pg_stat_database_blks_hit{{{_PG_DATABASES}}}{RATE})) / "
                f"(sum(rate(pg_stat_database_blks_hit{{{_PG_DATABASES}}}{RATE})) "
                f"+ sum(rate(pg_stat_database_blks_read{{{_PG_DATABASES}}}{RATE})) > 0)",
                "hits",
            ),
            thresholds=falling(0.9, 0.99),
        ),
        number(
            "Deadlocks",
            "In the time that is shown; one transaction of each was ended.",
            "none",
            Query(f"sum(increase(pg_stat_database_deadlocks{{{_PG_DATABASES}}}[$__range]))", "deadlocks"),
            thresholds=rising(1, 5),
            decimals=0,
        ),
        number(
            "Size",
            "Of all databases.",
            "bytes",
            Query(f"sum(pg_database_size_bytes{{{_PG}}})", "size"),
        ),
        lines(
            "Transactions",
            "Committed and rolled back.",
            "ops",
            Query(f"sum(rate(pg_stat_database_xact_commit{{{_PG_DATABASES}}}{RATE}))", "committed"),
            Query(f"sum(rate(pg_stat_database_xact_rollback{{{_PG_DATABASES}}}{RATE}))", "rolled back"),
        ),
        lines(
            "Connections",
            "By database.",
            "none",
            Query(f"sum by (datname) (pg_stat_database_numbackends{{{_PG_DATABASES}}})", "{{datname}}"),
            is_stacked=True,
        ),
        lines(
            "Locks",
            "Held or waited for, by mode.",
            "none",
            Query(f"sum by (mode) (pg_locks_count{{{_PG}}})", "{{mode}}"),
        ),
    ],
)

_REDIS_ROW = Row(
    "Redis, by its exporter",
    [
        number(
            "Up", "Whether it answers.", "none", Query(f"min(redis_up{{{_REDIS}}})", "up"), thresholds=falling(1, 1)
        ),
        number(
            "Memory",
            "What it uses. Set maxmemory, and Redis refuses writes there instead of being killed.",
            "bytes",
            Query(f"sum(redis_memory_used_bytes{{{_REDIS}}})", "used"),
        ),
        number(
            "Limit of memory",
            "0 is none.",
            "bytes",
            Query(f"max(redis_memory_max_bytes{{{_REDIS}}})", "limit"),
        ),
        number(
            "Clients",
            "Connections to it.",
            "none",
            Query(f"sum(redis_connected_clients{{{_REDIS}}})", "clients"),
        ),
        number(
            "Rejected connections",
            "In the time that is shown.",
            "none",
            Query(f"sum(increase(redis_rejected_connections_total{{{_REDIS}}}[$__range]))", "rejected"),
            thresholds=rising(1, 10),
            decimals=0,
        ),
        number(
            "Evicted keys",
            "In the time that is shown: messages may be among them. It should evict nothing.",
            "none",
            Query(f"sum(increase(redis_evicted_keys_total{{{_REDIS}}}[$__range]))", "evicted"),
            thresholds=rising(1, 10),
            decimals=0,
        ),
        lines(
            "Commands",
            "A second.",
            "ops",
            Query(f"sum(rate(redis_commands_processed_total{{{_REDIS}}}{RATE}))", "commands"),
            size=(12, 8),
        ),
        lines(
            "Memory",
            "Used and allowed.",
            "bytes",
            Query(f"sum(redis_memory_used_bytes{{{_REDIS}}})", "used"),
            Query(f"max(redis_memory_max_bytes{{{_REDIS}}}) > 0 or vector(0)", "limit"),
            size=(12, 8),
        ),
    ],
)

_SEEN = Row(
    "The database as the platform sees it",
    [
        lines(
            "Statements",
            "A second, by kind.",
            "ops",
            Query(
                rate_by("db_client_operation_duration_seconds_count", _JOB, "db_operation_name"),
                "{{db_operation_name}}",
            ),
            is_stacked=True,
        ),
        lines(
            "Duration, p95",
            "By kind.",
            "s",
            Query(
                quantile(0.95, "db_client_operation_duration_seconds", _JOB, "db_operation_name"),
                "{{db_operation_name}}",
            ),
        ),
        lines(
            "Wait for a connection, p95",
            "Of the sockets' pool. More than nothing means that the pool is too small.",
            "s",
            Query(or_nought(quantile(0.95, "db_client_connection_wait_time_seconds", _JOB)), "wait"),
            Query(or_nought(quantile(0.95, "db_client_connection_create_time_seconds", _JOB)), "open a new one"),
        ),
        rows(
            "Tables",
            "Seconds of statements a second, by table: where an index or a cache pays.",
            "s",
            Query(
                f"topk(15, {rate_by('db_client_operation_duration_seconds_sum', _JOB, 'db_collection_name')})",
                "{{db_collection_name}}",
            ),
        ),
        rows(
            "Repeated queries",
            "Work that ran one query too often (N+1), in the time that is shown. The request's page names the line.",
            "none",
            Query(
                or_nought(
                    f"sum by (origin, operation) (increase(db_repeated_statements_total{{{_JOB}}}[$__range])) > 0"
                ),
                "{{operation}}",
            ),
        ),
    ],
)

_CACHES = Row(
    "Caches",
    [
        lines(
            "Pages from the cache",
            "The share of look-ups that were answered, by level.",
            "percentunit",
            Query(
                f'(sum by (level) (rate(caching_lookups_total{{{_JOB}, result=~"hit|aged"}}{RATE})) '
                f"or 0 * {rate_by('caching_lookups_total', _JOB, 'level')}) "
                f"/ ({rate_by('caching_lookups_total', _JOB, 'level')} > 0)",
                "{{level}}",
            ),
            is_share=True,
        ),
        lines(
            "Look-ups",
            "By where and how they were answered.",
            "ops",
            Query(rate_by("caching_lookups_total", _JOB, "tier, result"), "{{tier}}: {{result}}"),
        ),
        lines(
            "Made anew, p95",
            "How long it takes what wasn't there.",
            "s",
            Query(quantile(0.95, "caching_rebuild_duration_seconds", _JOB, "level"), "{{level}}"),
        ),
        lines(
            "Invalidations",
            "By kind of thing, and those that wait for a Redis that is away.",
            "none",
            Query(or_nought(rate_by("caching_invalidations_total", _JOB, "kind")), "{{kind}}"),
            Query(f"sum(caching_invalidations_unsent{{{_JOB}}})", "unsent"),
        ),
        lines(
            "Without the cache",
            "What was made past it, couldn't be kept, or waited for another's making; failed calls to Redis.",
            "ops",
            Query(or_nought(rate_by("caching_bypasses_total", _JOB, "reason")), "past it: {{reason}}"),
            Query(or_nought(rate_by("caching_unstored_total", _JOB, "reason")), "not kept: {{reason}}"),
            Query(or_nought(rate_by("caching_waits_total", _JOB, "outcome")), "others: {{outcome}}"),
            Query(rate_by("caching_redis_failures_total", _JOB), "failed calls"),
        ),
        lines(
            "Django's caches",
            "Operations by how they ended.",
            "ops",
            Query(rate_by("cache_operations_total", _JOB, "cache_name, result"), "{{cache_name}} {{result}}"),
        ),
        lines(
            "Django's caches, p95",
            "Duration by operation.",
            "s",
            Query(quantile(0.95, "cache_operation_duration_seconds", _JOB, "operation"), "{{operation}}"),
            size=(12, 8),
        ),
        rows(
            "Keys",
            "Look-ups and writes a second, by the form of the key.",
            "ops",
            Query(
                f"topk(15, {rate_by('cache_lookups_total', _JOB, 'key_template')} "
                f"or {rate_by('cache_sets_total', _JOB, 'key_template')})",
                "{{key_template}}",
            ),
            size=(12, 8),
        ),
    ],
)

BOARD = Board(
    uid="glasshouse-stores",
    title="PostgreSQL, Redis and caches",
    description="Use, saturation and errors of what the platform stands on.",
    family="stores",
    variables=[
        job("pg_job", "PostgreSQL", "pg_up"),
        job("redis_job", "Redis", "redis_up"),
    ],
    rows=[_POSTGRES, _REDIS_ROW, _SEEN, _CACHES],
)
