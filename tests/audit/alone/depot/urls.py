"""The depot's pages."""

from django.urls import path

from depot import views

urlpatterns = [path("deliver/<int:pk>/", views.deliver), path("deliver/async/<int:pk>/", views.deliver_async)]
