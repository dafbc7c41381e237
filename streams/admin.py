from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from streams.forms import OPTIONS_PREFIX, TURN_TAKING_PREFIX, StreamAdminForm, handler_fields, with_handler_fields
from streams.models import HOLDS_USE_STREAM, Stream
from streams.registry import Access

TURN_TAKING = (
    "When the stream answers, and when it lets itself be interrupted. What is empty is as in the code, which is shown "
    "in grey. Changes count for new sessions at once; sessions that are running keep what they began with."
)


@admin.register(Stream)
class StreamAdmin(admin.ModelAdmin):
    form = StreamAdminForm
    list_display = ["title", "page", "handler_state", "access", "enabled", "limits"]
    list_filter = ["enabled", "access", "handler"]
    search_fields = ["title", "slug", "description", "handler"]
    prepopulated_fields = {"slug": ["title"]}
    filter_horizontal = ["groups"]
    readonly_fields = ["created_at", "updated_at"]
    actions = ["enable", "disable"]

    def get_form(self, request: HttpRequest, obj: Stream | None = None, change: bool = False, **kwargs: Any) -> Any:
        # Not the fieldsets' fields: the options in them are not the model's.
        kwargs["fields"] = self.form.Meta.fields
        form = super().get_form(request, obj, change, **kwargs)
        return with_handler_fields(form, obj) if obj else form

    def get_fieldsets(self, request: HttpRequest, obj: Stream | None = None) -> Any:
        fieldsets: list[Any] = [
            (None, {"fields": ["title", "slug", "description", "handler", "enabled"]}),
            ("Access and limits", {"fields": ["access", "groups", "concurrency_limit", "time_limit"]}),
            ("Connection", {"fields": ["turn_provider"]}),
        ]
        given = handler_fields(obj) if self.has_change_permission(request, obj) else {}
        if options := given.get(OPTIONS_PREFIX):
            fieldsets.append(("Options of the handler", {"fields": options}))
        if obj and (turn_taking := given.get(TURN_TAKING_PREFIX)):
            classes = [] if obj.turn_taking else ["collapse"]
            fieldsets.append(("Turn taking", {"fields": turn_taking, "description": TURN_TAKING, "classes": classes}))
        if obj:
            fieldsets.append(("History", {"fields": ["created_at", "updated_at"]}))
        return fieldsets

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        stream = form.instance
        if stream.access == Access.GROUP and not stream.groups.filter(HOLDS_USE_STREAM).exists():
            self.message_user(
                request,
                "Nobody but superusers may open this stream: choose a group that has the permission “Can use streams”.",
                messages.WARNING,
            )

    @admin.display(description="handler", ordering="handler")
    def handler_state(self, stream: Stream) -> str | SafeString:
        if stream.registration:
            return stream.handler
        return format_html('<strong style="color: var(--error-fg, #ba2121)">{} – missing</strong>', stream.handler)

    @admin.display(description="limits")
    def limits(self, stream: Stream) -> str:
        sessions = f"{stream.concurrency_limit} at once" if stream.concurrency_limit else "any number"
        return f"{sessions}, {stream.time_limit:g} s" if stream.time_limit else sessions

    @admin.display(description="page")
    def page(self, stream: Stream) -> SafeString:
        return format_html('<a href="{}">Open</a>', stream.get_absolute_url())

    @admin.action(description="Enable selected streams", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        self.message_user(request, f"Enabled: {queryset.update(enabled=True)}.", messages.SUCCESS)

    @admin.action(description="Disable selected streams", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        self.message_user(request, f"Disabled: {queryset.update(enabled=False)}.", messages.SUCCESS)
