"""Source runs without labels: tasks that images set themselves."""
