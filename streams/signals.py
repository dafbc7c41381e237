"""What an application may listen to."""

from django.dispatch import Signal

reply_finished = Signal()
"""A reply is over: played to its end, cut short, or failed. Sent by ``Stream``, with

stream: the stream's slug
webrtc_id: the session's id
user: Django's user
timing: a streams.media.ReplyTiming

A coroutine function runs in the event loop, beside everybody's audio: it must await, not block. A plain function runs
in Django's thread for synchronous code, where the ORM works and others wait for it: it must be quick. A receiver that
raises is logged, and harms nobody.
"""
