"""What unlabelled images of the target say."""
