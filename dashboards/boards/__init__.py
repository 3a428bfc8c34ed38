"""The dashboards as code: `make dashboards` writes them to `dashboards/json`, which Grafana reads. Nothing here runs
beside the platform.

Each module of a dashboard holds its questions in the order in which an operator asks them.
"""
