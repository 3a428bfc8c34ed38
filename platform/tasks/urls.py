from django.urls import path

from tasks.views import queues, retrying, runs

app_name = "tasks"
urlpatterns = [
    path("", runs.run_list, name="run_list"),
    path("retry/", retrying.retry_many, name="retry_many"),
    path("queues/", queues.queue_list, name="queue_list"),
    path("queues/<str:name>/pause/", queues.pause, name="pause_queue"),
    path("queues/<str:name>/resume/", queues.resume, name="resume_queue"),
    path("<uuid:run_id>/", runs.run, name="run"),
    path("<uuid:run_id>/retry/", runs.retry, name="retry"),
    path("<uuid:run_id>/cancel/", runs.cancel, name="cancel"),
]
