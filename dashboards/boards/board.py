"""A dashboard of ours: its variables, its rows, and what all of them have in common."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.boards.panels import PROMETHEUS, Panel

TAG = "glasshouse"
_WIDTH = 24
_NOT_IN_CLASSIC_JSON = "placement"  # the SDK always writes `inControlsMenu`, which hides links and annotations


@dataclass(frozen=True)
class Row:
    """Panels under a heading, from the left to the right and then below."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard. `family` is a tag; `variables` come after the data source and the job."""

    uid: str
    title: str
    description: str
    family: str
    rows: Sequence[Row]
    variables: Sequence[Any] = field(default=())
    hours: int = 1

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.uid}.json"

    def as_json(self) -> str:
        """Return the dashboard as Grafana reads it, always the same for the same code."""
        made = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG, self.family])
            .readonly()
            .timezone("browser")
            .time(f"now-{self.hours}h", "now")
            .refresh("30s")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(_link_to_all())
            .annotation(_deploys())
        )
        for variable in (DATASOURCE, job(), *self.variables):
            made.with_variable(variable)
        self._place(made)
        built = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
        return json.dumps(_cleaned(built), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def _place(self, made: dashboard.Dashboard) -> None:
        """Give each panel its number and place, so that none overlap."""
        number, top = 0, 0
        for row in self.rows:
            number += 1
            made.with_row(dashboard.Row(row.title).id(number).grid_pos(models.GridPos(h=1, w=_WIDTH, x=0, y=top)))
            top, left, tallest = top + 1, 0, 0
            for panel in row.panels:
                number += 1
                position = panel.build().grid_pos
                if left + position.w > _WIDTH:
                    top, left, tallest = top + tallest, 0, 0
                panel.id(number).grid_pos(models.GridPos(h=position.h, w=position.w, x=left, y=top))
                made.with_panel(panel)
                left, tallest = left + position.w, max(tallest, position.h)
            top += tallest


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _cleaned(inner)
            for key, inner in value.items()
            if not (key == _NOT_IN_CLASSIC_JSON and inner == "inControlsMenu")
        }
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


# --- what all have -------------------------------------------------------------------------------------------------

DATASOURCE = dashboard.DatasourceVariable("datasource").label("Metrics").type("prometheus")


def job(name: str = "job", label: str = "Job", metric: str = "http_server_request_duration_seconds_count") -> Any:
    """Return a variable of the jobs that tell a metric; Prometheus' scrape configuration names them."""
    return values_of(name, label, f"label_values({metric}, job)", has_all=False)


def values_of(name: str, label: str, query: str, *, has_all: bool = True, description: str = "") -> Any:
    """Return a variable with the values that `query` finds."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(has_all)
        .include_all(has_all)
    )
    if has_all:
        variable.all_value(".*").current(models.VariableOption(text="All", value="$__all", selected=True))
    return variable.description(description) if description else variable


def _link_to_all() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
        .icon("external link")
    )


def _deploys() -> dashboard.AnnotationQuery:
    """Return a mark where a release begins to run that didn't two minutes before."""
    expr = (
        'sum by (release) (config_processes{job="$job"}) > 0 '
        'unless sum by (release) (config_processes{job="$job"} offset 2m) > 0'
    )
    return (
        dashboard.AnnotationQuery()
        .name("Releases")
        .datasource(PROMETHEUS)
        .enable(True)
        .hide(False)
        .icon_color("blue")
        .target(prometheus.Dataquery().expr(expr).ref_id("Releases").datasource(PROMETHEUS).range())
        .title_format("Release {{release}}")
        .text_format("It runs from here on.")
        .tag_keys("release")
    )
