"""What happens in the shop on one day; prints, as JSON, what telemetry tells of it. `--worker`: background work too."""

import json
import os
import sys
import threading
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from telemetry.tracing import provider  # noqa: E402

call_command("migrate", verbosity=0)
setup_test_environment()
client = Client()
answers = [client.get("/goods/1/") for _ in range(3)]
told = {"ids": [answer["X-Request-ID"] for answer in answers], "traceparent": answers[0]["traceparent"]}

if "--worker" in sys.argv:
    from celery.contrib.testing.worker import start_worker
    from shop.worker import app

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        answer = client.get("/order/")
        told["order"] = answer["X-Request-ID"]
        from telemetry.tracing.store import recent_spans

        for _ in range(200):
            provider.pipeline().force_flush()
            if any(span["name"] == "process shop.ship" for span in recent_spans().spans_of(told["order"])):
                break
            threading.Event().wait(0.05)

provider.pipeline().force_flush()
if settings.TELEMETRY_REDIS_URL:
    from telemetry.tracing.store import recent_spans

    wanted = [told["ids"][0], *([told["order"]] if "order" in told else [])]
    told["spans"] = {one: recent_spans().spans_of(one) for one in wanted}
told["metrics"] = client.get("/metrics").content.decode()
told["files"] = [import_module("telemetry").__file__]
told["modules"] = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps(told, default=str))  # noqa: T201
