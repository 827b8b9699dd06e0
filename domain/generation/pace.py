"""How often a run commits: at once while there are few, else after a pause in which its words gather at the model's end."""

# Up to so many live runs every token is committed at once; from there the spacing grows, and more of them share a frame.
RUNS_WITHOUT_SPACING = 8
RUNS_WITH_FULL_SPACING = 50
FULL_SPACING_SECONDS = 0.05
# Runs go on in step, so that those that go on together share a commit.
STEP_SECONDS = 0.01


def spacing_seconds(live_runs: int) -> float:
    """The least time between two commits of one run; its first token never waits."""
    crowd = (live_runs - RUNS_WITHOUT_SPACING) / (RUNS_WITH_FULL_SPACING - RUNS_WITHOUT_SPACING)
    return FULL_SPACING_SECONDS * min(max(crowd, 0.0), 1.0)


def pause_seconds(now: float, live_runs: int) -> float:
    """For a run that has written something at `now`, up to the step that is nearest to the end of the spacing."""
    if live_runs <= RUNS_WITHOUT_SPACING:
        return 0.0
    goes_on_at = round((now + spacing_seconds(live_runs)) / STEP_SECONDS) * STEP_SECONDS
    return max(goes_on_at - now, 0.0)
