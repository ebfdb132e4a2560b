"""The Keras networks; the only room that imports keras or tensorflow."""
