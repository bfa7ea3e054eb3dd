"""Events: what happens when in a recording, told moment by moment."""

from handful.tasks.events.task import EVENTS_TASK, Events

__all__ = ["EVENTS_TASK", "Events"]
