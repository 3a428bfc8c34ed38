"""Every address of the platform."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from accounts.views import LogoutView, login_for_admin
from audit.api.urls import api_urlpatterns as audit_api
from blog.api.urls import api_urlpatterns as blog_api
from chat.api.urls import api_urlpatterns as chat_api
from config import api_root, health
from config.media import uploaded_file
from images.api import api_urlpatterns as images_api
from notifications.api import api_urlpatterns as notifications_api
from ops.api import api_urlpatterns as ops_api
from tasks.api.urls import api_urlpatterns as tasks_api
from telemetry.views import metrics

urlpatterns = [
    path("", include("blog.urls")),
    path("chat/", include("chat.urls")),
    path("tasks/", include("tasks.urls")),
    path("images/", include("images.urls")),
    path("notifications/", include("notifications.urls")),
    path("audit/", include("audit.urls")),
    path("ops/", include("ops.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/login/", login_for_admin),
    path("admin/logout/", LogoutView.as_view()),
    path("admin/", admin.site.urls),
    path("media/<path:path>", uploaded_file),
    path("healthz/live", health.live),
    path("healthz/ready", health.ready),
    path("metrics", metrics),
    path("api/", api_root.ApiRoot.as_view(), name="api-root"),
    path("api/audit/", include(audit_api)),
    path("api/blog/", include(blog_api)),
    path("api/chat/", include(chat_api)),
    path("api/images/", include(images_api)),
    path("api/notifications/", include(notifications_api)),
    path("api/ops/", include(ops_api)),
    path("api/tasks/", include(tasks_api)),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", api_root.docs, name="api-docs"),
]

handler400 = "config.error_views.bad_request"
handler403 = "config.error_views.permission_denied"
handler404 = "config.error_views.page_not_found"
handler500 = "config.error_views.server_error"
