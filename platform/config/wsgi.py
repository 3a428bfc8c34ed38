"""HTTP: the web process serves this."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
application = get_wsgi_application()

# What is loaded now stays: the collector needn't walk it again and again. With spans and lines made for each request
# its default thresholds put the p99 up to three times bare Django's; so it stays within a tenth.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 100)
