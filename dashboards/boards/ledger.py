"""The ledger: what it records, who is refused, who reads it, and whether it captures all that it should."""

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.panels import Query, lines, number, rising, rows
from dashboards.boards.requests import or_nought, rate_by

_JOB = 'job="$job"'
_ACTION = 'job="$job", action=~"$action"'
_CHECKS = 'job="$job", check="ledger"'
_READS = 'job="$job", action=~"audit[.].*"'
_LOGINS = 'job="$job", action=~"accounts[.](login|token|scope)[.].*|.*[.](logged_in|logged_out|login_failed)"'

BOARD = Board(
    uid="glasshouse-ledger",
    title="Audit ledger",
    description="Events by action and outcome, denials, reads of the ledger, and whether it captures all. "
    "Panels on seals, their lag and their verification come with sealing.",
    family="ledger",
    variables=[values_of("action", "Action", 'label_values(audit_events_total{job="$job"}, action)')],
    rows=[
        Row(
            "Is it whole?",
            [
                number(
                    "Changes undone",
                    "Since the ledger couldn't be written, in the time that is shown: it fails closed.",
                    "none",
                    Query(or_nought(f"sum(increase(audit_write_failures_total{{{_JOB}}}[$__range]))"), "undone"),
                    thresholds=rising(1, 1),
                    decimals=0,
                    size=(6, 5),
                ),
                number(
                    "Checks that failed",
                    "Readiness looks at triggers, columns and partitions; in the time that is shown.",
                    "none",
                    Query(
                        f'sum(increase(config_readiness_checks_total{{{_CHECKS}, outcome!="ok"}}[$__range]))', "failed"
                    ),
                    thresholds=rising(1, 1),
                    decimals=0,
                    size=(6, 5),
                ),
                number(
                    "Events",
                    "Per second.",
                    "ops",
                    Query(rate_by("audit_events_total", _ACTION), "events"),
                    size=(6, 5),
                ),
                number(
                    "Denials",
                    "In the time that is shown.",
                    "none",
                    Query(
                        or_nought(f'sum(increase(audit_events_total{{{_ACTION}, outcome="denied"}}[$__range]))'),
                        "denied",
                    ),
                    decimals=0,
                    size=(6, 5),
                ),
            ],
        ),
        Row(
            "What is recorded",
            [
                lines(
                    "By outcome",
                    "success, denied, error.",
                    "ops",
                    Query(rate_by("audit_events_total", _ACTION, "outcome"), "{{outcome}}"),
                    is_stacked=True,
                    size=(12, 8),
                ),
                lines(
                    "By action",
                    "The fifteen most frequent.",
                    "ops",
                    Query(f"topk(15, {rate_by('audit_events_total', _ACTION, 'action')})", "{{action}}"),
                    size=(12, 8),
                ),
                rows(
                    "Denied",
                    "By action, in the time that is shown. Who it was the ledger says.",
                    "none",
                    Query(
                        or_nought(
                            f'sum by (action) (increase(audit_events_total{{{_ACTION}, outcome="denied"}}[$__range]))'
                        ),
                        "{{action}}",
                    ),
                ),
                rows(
                    "All actions",
                    "How many of each in the time that is shown.",
                    "none",
                    Query(
                        f"sum by (action, outcome) (increase(audit_events_total{{{_ACTION}}}[$__range])) > 0",
                        "{{action}} {{outcome}}",
                    ),
                ),
            ],
        ),
        Row(
            "Who reads, who tries",
            [
                lines(
                    "Reads of the ledger",
                    "Reads, exports, tails and denials: each is an event of its own.",
                    "ops",
                    Query(rate_by("audit_events_total", _READS, "action, outcome"), "{{action}} {{outcome}}"),
                    size=(12, 8),
                ),
                lines(
                    "Logins and tokens",
                    "What was tried at the door.",
                    "ops",
                    Query(rate_by("audit_events_total", _LOGINS, "action, outcome"), "{{action}} {{outcome}}"),
                    size=(12, 8),
                ),
            ],
        ),
        Row(
            "Capture",
            [
                lines(
                    "Changes undone",
                    "Since the ledger couldn't be written, by reason. Its runbook says what each means.",
                    "ops",
                    Query(or_nought(rate_by("audit_write_failures_total", _JOB, "reason")), "{{reason}}"),
                ),
                lines(
                    "Checks of the ledger",
                    "What probes of readiness found.",
                    "ops",
                    Query(rate_by("config_readiness_checks_total", _CHECKS, "outcome"), "{{outcome}}"),
                ),
                lines(
                    "Echoes that nobody was told",
                    "Changes in transactions that are managed by hand: the ledger has them, logs and metrics don't.",
                    "ops",
                    Query(rate_by("audit_echoes_untold_total", _JOB), "untold"),
                ),
            ],
        ),
    ],
)
