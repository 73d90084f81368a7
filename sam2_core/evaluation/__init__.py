"""How good a model is: the field's metrics, and its protocols run through the same tracker that people use."""
