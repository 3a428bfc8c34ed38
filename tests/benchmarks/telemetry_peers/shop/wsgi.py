"""HTTP over WSGI."""

from django.core.wsgi import get_wsgi_application

from shop import peers

peers.instrument()
application = get_wsgi_application()
