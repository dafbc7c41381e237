from django.urls import path

from telephony import converters  # noqa: F401 - registers itself
from telephony.consumers import CallConsumer, DoorConsumer

websocket_urlpatterns = [
    path("telephony/<provider:provider>/media", CallConsumer.as_asgi()),
    path("telephone/handler", DoorConsumer.as_asgi(), {"provider": "twilio"}),  # FastRTC's own
]
