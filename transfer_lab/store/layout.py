"""What the files and folders of a store are called: `<runs>/<run id>/<name>`, and what all runs
share."""

RECORD = "record.json"
CURVE = "metrics.csv"
PREDICTIONS = "predictions.npz"
WEIGHTS = "backbone.safetensors"
TRIALS = "trials.csv"
STAGE_DRIFT = "cka.csv"
TRACE, ONE_PASS_TRACE = "traceback.txt", "one_pass_traceback.txt"

IMAGES, ACTIVATIONS = "images", "activations"
"""Where decoded images and the outputs of frozen stages are kept for all runs."""
SIMILARITY, OVERLAPS = "similarity", "similarity/shared"
"""Where it is kept what was measured of source and target."""
RUNNING = "running"
"""Where grids that are running tell how far they are."""
THUMBNAILS = "thumbnails"
"""Where a few small images of each domain are kept."""
