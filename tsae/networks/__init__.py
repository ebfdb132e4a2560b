"""The Keras networks; the only folder that imports keras or tensorflow."""
