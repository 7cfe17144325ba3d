"""The folder that goes on the PYTHONPATH of processes whose clock is to be stepped."""
