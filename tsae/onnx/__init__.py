"""Inference without TensorFlow."""
