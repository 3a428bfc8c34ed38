"""What the platform promises, how much of what it may fail is left, and how fast it's used up."""

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.panels import Query, falling, lines, number, rows

_SLO = 'job="$job", slo=~"$slo"'
_SHORT = ("5m", "30m", "1h", "2h", "6h")

BOARD = Board(
    uid="glasshouse-slo",
    title="Promises",
    description="Five promises over 30 days: error budgets, and how fast they burn.",
    family="slo",
    hours=24,
    variables=[values_of("slo", "Promise", "label_values(slo:objective:ratio, slo)")],
    rows=[
        Row(
            "Error budgets",
            [
                number(
                    "Left of 30 days",
                    "1 is untouched, 0 is used up; below, the promise is broken.",
                    "percentunit",
                    Query(f"slo:budget_left:ratio30d{{{_SLO}}}", "{{slo}}"),
                    thresholds=falling(0.1, 0.5),
                    decimals=1,
                    size=(16, 6),
                ),
                rows(
                    "What is promised",
                    "The share of good events.",
                    "percentunit",
                    Query('max by (slo) (slo:objective:ratio{slo=~"$slo"})', "{{slo}}"),
                    size=(8, 6),
                ),
            ],
        ),
        Row(
            "Burn rate",
            [
                *(
                    lines(
                        f"Over {window}",
                        f"1 uses up the budget in just 30 days. {told}",
                        "none",
                        Query(f"slo:burn_rate:rate{window}{{{_SLO}}}", "{{slo}}"),
                    )
                    for window, told in (
                        ("5m", "With the hour above 14.4 somebody is paged."),
                        ("1h", "With 5 minutes above 14.4 somebody is paged."),
                        ("6h", "With 30 minutes above 6 somebody is paged."),
                    )
                ),
                lines(
                    "Over 30 m and 2 h",
                    "The windows that confirm a longer one.",
                    "none",
                    Query(f"slo:burn_rate:rate30m{{{_SLO}}}", "{{slo}}, 30 m"),
                    Query(f"slo:burn_rate:rate2h{{{_SLO}}}", "{{slo}}, 2 h"),
                    size=(12, 8),
                ),
                lines(
                    "Over days",
                    "Above 3 for a day or 1 for three, there is a ticket.",
                    "none",
                    Query(f"slo:burn_rate:rate1d{{{_SLO}}}", "{{slo}}, 1 d"),
                    Query(f"slo:burn_rate:rate3d{{{_SLO}}}", "{{slo}}, 3 d"),
                    size=(12, 8),
                ),
            ],
        ),
        Row(
            "What it's made of",
            [
                lines(
                    "Share of bad events",
                    "By window.",
                    "percentunit",
                    *(Query(f"slo:error_ratio:rate{window}{{{_SLO}}}", "{{slo}}, " + window) for window in _SHORT),
                ),
                lines(
                    "All events",
                    "A second, by promise.",
                    "ops",
                    Query(f"slo:total:rate5m{{{_SLO}}}", "{{slo}}"),
                ),
                lines("Bad events", "A second, by promise.", "ops", Query(f"slo:bad:rate5m{{{_SLO}}}", "{{slo}}")),
            ],
        ),
    ],
)
