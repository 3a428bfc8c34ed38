"""The ten dashboards, the home first."""

from dashboards.boards import celery, channels, http, ledger, logs, overview, route, slo, stores, telemetry

BOARDS = (
    overview.BOARD,
    http.BOARD,
    route.BOARD,
    celery.BOARD,
    channels.BOARD,
    ledger.BOARD,
    stores.BOARD,
    slo.BOARD,
    logs.BOARD,
    telemetry.BOARD,
)
