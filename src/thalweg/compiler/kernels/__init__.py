"""Hand-written kernels, compiled on first use."""
