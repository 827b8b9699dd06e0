"""What the environment says: every GUS_ variable, checked at start, with the words for the one who set it wrong."""

from server.settings.errors import BadSettings, CannotStart
from server.settings.fields import MOST_WORKERS, Environment, Settings
from server.settings.loading import load_settings, settings_table
from server.settings.values import SHORTEST_SECRET

__all__ = [
    "MOST_WORKERS",
    "SHORTEST_SECRET",
    "BadSettings",
    "CannotStart",
    "Environment",
    "Settings",
    "load_settings",
    "settings_table",
]
