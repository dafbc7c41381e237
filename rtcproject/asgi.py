import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rtcproject.settings")
django_application = get_asgi_application()

# Only after Django is set up: these import models or settings.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402

from streams.live.lifecycle import install  # noqa: E402
from streams.routing import websocket_urlpatterns  # noqa: E402
from streams.services import warm_up  # noqa: E402
from streams.session_records import written  # noqa: E402
from telephony.routing import websocket_urlpatterns as telephone_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, *telephone_urlpatterns])),
    }
)

install(warm_up, written)
