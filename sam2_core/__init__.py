"""Interactive video segmentation: the model, the tracker, and everything that works without a front end."""
