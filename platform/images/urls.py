from django.urls import path

from images import views

app_name = "images"
urlpatterns = [
    path("", views.picture_list, name="list"),
    path("<int:picture_id>/", views.picture, name="picture"),
    path("<int:picture_id>/card/", views.card, name="card"),
    path("<int:picture_id>/describe/", views.describe_picture, name="describe"),
    path("<int:picture_id>/delete/", views.delete_picture, name="delete"),
]
