from django.urls import path

from streams import views

urlpatterns = [
    path("", views.home, name="home"),
    path("streams/<slug:slug>/", views.stream, name="stream"),
]
