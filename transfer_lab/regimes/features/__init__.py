"""Source and target are brought to look alike."""
