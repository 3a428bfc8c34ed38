"""Panels as the dashboards use them: a title, a sentence on what it means, a unit, and queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, heatmap, logs, prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.builders import loki as loki_queries
from grafana_foundation_sdk.builders import tempo as tempo_queries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel: TypeAlias = Any  # a builder of one kind of panel; the SDK's have no base of their own

PROMETHEUS = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
LOKI = common_models.DataSourceRef(type_val="loki", uid="${loki}")
TEMPO = common_models.DataSourceRef(type_val="tempo", uid="${tempo}")

# What a link keeps of where the reader is.
KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}"
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


@dataclass(frozen=True)
class Query:
    """PromQL with the legend of its series. `labels` in the legend are what the result's series must have."""

    expr: str
    legend: str
    has_exemplars: bool = False


def rising(yellow: float, red: float) -> dashboard.ThresholdsConfig:
    """Return thresholds of what is worse the more there is."""
    return _steps([(None, GREEN), (yellow, YELLOW), (red, RED)])


def falling(red: float, yellow: float) -> dashboard.ThresholdsConfig:
    """Return thresholds of what is worse the less there is: red below `red`, yellow below `yellow`."""
    return _steps([(None, RED), (red, YELLOW), (yellow, GREEN)])


def plain() -> dashboard.ThresholdsConfig:
    """Return thresholds of what is neither good nor bad."""
    return _steps([(None, BLUE)])


def _steps(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    made = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def states(*texts: tuple[str, str]) -> list[Any]:
    """Return mappings of 0, 1, … to texts with their colours."""
    options = {
        str(value): models.ValueMappingResult(text=text_, color=colour, index=value)
        for value, (text_, colour) in enumerate(texts)
    }
    return [models.ValueMap(options=options)]


def link_to(uid: str, title: str, more: str = "") -> dashboard.DashboardLink:
    """Return a link to another dashboard that keeps time and variables; `more` are variables as in an address."""
    return dashboard.DashboardLink(title).url(f"/d/{uid}?{KEPT}{more and '&' + more}")


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    thresholds: dashboard.ThresholdsConfig | None = None,
    mappings: Sequence[Any] = (),
    link: dashboard.DashboardLink | None = None,
    is_filled: bool = False,
    no_value: str = "No data",
    decimals: int | None = None,
    size: tuple[int, int] = (4, 4),
) -> Panel:
    """Return a panel of one figure for each series, as it is now."""
    panel = (
        _begun(stat.Panel(), title, description, unit, size)
        .datasource(PROMETHEUS)
        .no_value(no_value)
        .thresholds(thresholds or plain())
        .mappings(list(mappings))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .text_mode(common_models.BigValueTextMode.AUTO)
        .orientation(common_models.VizOrientation.AUTO)
        .graph_mode(common_models.BigValueGraphMode.NONE if mappings else common_models.BigValueGraphMode.AREA)
        .color_mode(common_models.BigValueColorMode.BACKGROUND if is_filled else common_models.BigValueColorMode.VALUE)
    )
    if decimals is not None:
        panel.decimals(decimals)
    if link is not None:
        panel.links([link])
    return panel.targets(_targets([query]))


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    is_stacked: bool = False,
    is_share: bool = False,
    link: dashboard.DashboardLink | None = None,
    series_link: tuple[str, str] | None = None,
    dashed: str = "",
    size: tuple[int, int] = (8, 8),
) -> Panel:
    """Return a panel of lines over time. `series_link` is the title and address of what a series leads to."""
    panel = (
        _begun(timeseries.Panel(), title, description, unit, size)
        .datasource(PROMETHEUS)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if is_stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(False)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
    )
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if is_share:
        panel.max(1)
    if dashed:
        style = common_models.LineStyle(fill="dash", dash=[6, 6])
        panel.override_by_regexp(
            dashed,
            [models.DynamicConfigValue("custom.lineStyle", style), models.DynamicConfigValue("custom.fillOpacity", 0)],
        )
    if link is not None:
        panel.links([link])
    if series_link is not None:
        panel.data_links([dashboard.DashboardLink(series_link[0]).url(series_link[1])])
    return panel.targets(_targets(queries))


def heat(title: str, description: str, unit: str, expr: str, *, size: tuple[int, int] = (12, 9)) -> Panel:
    """Return a heatmap of a histogram; `expr` gives its buckets' rates by `le`."""
    target = _target(Query(expr, "{{le}}", has_exemplars=True), "A").format(PromQueryFormat.HEATMAP)
    return (
        _begun(heatmap.Panel(), title, description, unit, size)
        .datasource(PROMETHEUS)
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .show_legend()
        .targets([target])
    )


def rows(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    series_link: tuple[str, str] | None = None,
    size: tuple[int, int] = (12, 9),
) -> Panel:
    """Return a table of the series as they are now, the greatest first; the column of values is called `Value`."""
    organize = models.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    panel = (
        _begun(table.Panel(), title, description, unit, size)
        .datasource(PROMETHEUS)
        .sort_by([common.TableSortByFieldState().display_name("Value").desc(True)])
        .transformations([organize])
    )
    if series_link is not None:
        panel.data_links([dashboard.DashboardLink(series_link[0]).url(series_link[1])])
    target = _target(query, "A").instant().format(PromQueryFormat.TABLE)
    return panel.targets([target])


def log_lines(title: str, description: str, expr: str, *, size: tuple[int, int] = (24, 12)) -> Panel:
    """Return a panel of log lines, by LogQL."""
    return (
        _begun(logs.Panel(), title, description, "none", size)
        .datasource(LOKI)
        .show_time(True)
        .enable_log_details(True)
        .wrap_log_message(True)
        .prettify_log_message(False)
        .sort_order(common_models.LogsSortOrder.DESCENDING)
        .targets([loki_queries.Dataquery().expr(expr).ref_id("A").datasource(LOKI)])
    )


def traces(title: str, description: str, query: str, *, size: tuple[int, int] = (24, 9)) -> Panel:
    """Return a table of traces, by TraceQL."""
    target = tempo_queries.Dataquery().query(query).query_type("traceql").ref_id("A").datasource(TEMPO)
    return _begun(table.Panel(), title, description, "none", size).datasource(TEMPO).targets([target])


def prose(title: str, description: str, content: str, *, size: tuple[int, int] = (24, 4)) -> Panel:
    """Return a panel of Markdown."""
    return _begun(text.Panel(), title, description, "none", size).content(content)


def _begun(panel: Panel, title: str, description: str, unit: str, size: tuple[int, int]) -> Panel:
    width, height = size
    return panel.title(title).description(description).unit(unit).span(width).height(height)


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [_target(query, chr(ord("A") + index)) for index, query in enumerate(queries)]


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id)
    return target.datasource(PROMETHEUS).range().exemplar(query.has_exemplars)
