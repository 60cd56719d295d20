"""The reading wing: asv's result files in, tables, figures and a report out; no TensorFlow."""
