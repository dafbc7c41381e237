from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telephony.models import Call, PhoneNumber


@admin.register(PhoneNumber)
class PhoneNumberAdmin(admin.ModelAdmin):
    list_display = ["number", "stream", "language", "enabled"]
    list_filter = ["enabled", "stream"]
    search_fields = ["number"]
    autocomplete_fields = ["stream"]
    fieldsets = [
        (None, {"fields": ["number", "stream", "enabled"]}),
        ("What callers hear", {"fields": ["language", "greeting"]}),
        ("When the stream does not answer", {"fields": ["words_when_full", "words_when_closed", "words_when_failed"]}),
    ]


@admin.register(Call)
class CallAdmin(admin.ModelAdmin):
    """A record, not a form."""

    list_display = ["created_at", "caller", "called", "stream", "status", "duration", "end_reason"]
    list_filter = ["status", "direction", "stream"]
    search_fields = ["caller", "called", "call_id"]
    date_hierarchy = "created_at"
    readonly_fields = [*(field.name for field in Call._meta.fields if field.editable), "session"]

    @admin.display(description="Duration")
    def duration(self, call: Call) -> str:
        if call.seconds is None:
            return "–"
        minutes, seconds = divmod(round(call.seconds), 60)
        return f"{minutes}:{seconds:02d}"

    @admin.display(description="Session")
    def session(self, call: Call) -> SafeString:
        url = reverse("admin:streams_sessionrecord_changelist", query={"session_id": call.session_id})
        return format_html('<a href="{}">{}</a>', url, call.session_id)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False
