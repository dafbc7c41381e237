from django.urls import path

from telephony import converters  # noqa: F401 - registers itself
from telephony.consumers import CallConsumer

websocket_urlpatterns = [path("telephony/<provider:provider>/media", CallConsumer.as_asgi())]
