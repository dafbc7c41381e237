from django.urls import path

from telephony import converters, views  # noqa: F401 - registers itself

urlpatterns = [
    path("telephony/incoming", views.incoming, name="telephony-incoming"),
    path("telephony/<provider:provider>/incoming", views.incoming, name="telephony-incoming"),
    path("telephony/<provider:provider>/status", views.status, name="telephony-status"),
    path("telephony/<provider:provider>/status/<int:pk>", views.status, name="telephony-status"),
    path("telephony/<provider:provider>/answered/<int:pk>", views.answered, name="telephony-answered"),
    path("telephony/<provider:provider>/after/<int:pk>", views.after, name="telephony-after"),
    path("telephone/incoming", views.at_door, name="telephone-at-door"),  # FastRTC's own
    path("api/streams/<slug:slug>/telephone/incoming", views.incoming, name="telephone-incoming"),
    path("api/streams/<slug:slug>/telephone/<provider:provider>/incoming", views.incoming, name="telephone-incoming"),
]
