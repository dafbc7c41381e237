from django.urls import path

from streams.consumers import AudioConsumer

websocket_urlpatterns = [path("api/streams/<slug:slug>/websocket/offer", AudioConsumer.as_asgi())]
