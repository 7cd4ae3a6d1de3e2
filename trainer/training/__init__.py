"""Training on a run directory: steps, schedules, checkpoints, logs, evaluation, replay."""
