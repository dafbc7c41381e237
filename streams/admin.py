from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from streams.forms import OPTIONS_PREFIX, TURN_TAKING_PREFIX, StreamAdminForm, handler_fields, with_handler_fields
from streams.models import HOLDS_USE_STREAM, SessionRecord, Stream, outcome_is
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


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("connecting", "Connecting"),
            ("live", "Live"),
            ("ended", "Ended"),
            ("failed", "Never connected"),
            ("lost", "Lost with a worker"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SessionRecord]) -> QuerySet[SessionRecord]:
        outcome = self.value()
        return queryset.filter(outcome_is(outcome)) if outcome in dict(self.lookup_choices) else queryset


@admin.register(SessionRecord)
class SessionRecordAdmin(admin.ModelAdmin):
    """A record, not a form."""

    list_display = ["started_at", "stream", "who", "outcome", "stage_reached", "path", "transport", "length"]
    list_filter = [OutcomeFilter, "stage", "client_stage", "transport", "stream"]
    list_select_related = ["stream", "user"]
    search_fields = ["session_id", "user__username", "stream__title", "words"]
    date_hierarchy = "started_at"
    list_per_page = 50
    show_full_result_count = False

    def get_fieldsets(self, request: HttpRequest, obj: SessionRecord | None = None) -> Any:
        life = ["outcome", "started_at", "connected_at", "ended_at", "seen_at", "length", "why_it_ended"]
        fieldsets: list[Any] = [
            (None, {"fields": ["session_id", "stream", "who", "transport"]}),
            ("Life", {"fields": life}),
            ("Connection", {"fields": ["stage_reached", "path", "seconds_to_connect", "words", "advice"]}),
        ]
        if obj and obj.client_stage:
            seen = ["client_words", "client_view", "client_advice"]
            fieldsets.append(("Seen from the browser", {"fields": seen}))
        return fieldsets

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SessionRecord | None = None) -> bool:
        return False

    @admin.display(description="user", ordering="user__username")
    def who(self, record: SessionRecord) -> str:
        return str(record.user) if record.user else "somebody not signed in"

    @admin.display(description="outcome")
    def outcome(self, record: SessionRecord) -> str:
        return record.outcome

    @admin.display(description="length")
    def length(self, record: SessionRecord) -> str:
        if record.duration is None:
            return "–"
        minutes, seconds = divmod(round(record.duration.total_seconds()), 60)
        return f"{minutes}:{seconds:02d}"

    @admin.display(description="stage", ordering="stage")
    def stage_reached(self, record: SessionRecord) -> str:
        return (record.client_stage or record.stage).replace("_", " ") or "–"

    @admin.display(description="seconds to connect", ordering="seconds")
    def seconds_to_connect(self, record: SessionRecord) -> str:
        return "–" if record.seconds is None else f"{record.seconds:.1f}"

    @admin.display(description="why it ended")
    def why_it_ended(self, record: SessionRecord) -> str:
        if record.outcome == "lost":
            return "Its worker stopped without a word; it was alive when last seen."
        return record.end_reason.replace("_", " ") or "–"

    @admin.display(description="what it saw")
    def client_words(self, record: SessionRecord) -> str:
        return record.client_words[0]

    @admin.display(description="what to do")
    def client_advice(self, record: SessionRecord) -> str:
        return record.client_words[1] or "–"
