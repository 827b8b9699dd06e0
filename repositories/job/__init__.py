"""Jobs on pgqueuer."""
