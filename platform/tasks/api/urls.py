from django.urls import path

from tasks.api import queues, runs

api_urlpatterns = [
    path("runs/", runs.TaskRunList.as_view(), name="task-run-list"),
    path("runs/retry/", runs.TaskRunRetryMany.as_view(), name="task-run-retry-many"),
    path("runs/<uuid:run_id>/", runs.TaskRunDetail.as_view(), name="task-run-detail"),
    path("runs/<uuid:run_id>/retry/", runs.TaskRunRetry.as_view(), name="task-run-retry"),
    path("runs/<uuid:run_id>/cancel/", runs.TaskRunCancel.as_view(), name="task-run-cancel"),
    path("queues/", queues.QueueList.as_view(), name="task-queue-list"),
    path("queues/<str:name>/pause/", queues.QueuePause.as_view(), name="task-queue-pause"),
    path("queues/<str:name>/resume/", queues.QueueResume.as_view(), name="task-queue-resume"),
]
