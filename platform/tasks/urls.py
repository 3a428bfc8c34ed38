from django.urls import path

from tasks import views

app_name = "tasks"
urlpatterns = [path("", views.run_list, name="run_list")]
