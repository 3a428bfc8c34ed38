"""HTTP over ASGI."""

from django.core.asgi import get_asgi_application

from shop import peers

peers.instrument()
application = get_asgi_application()
