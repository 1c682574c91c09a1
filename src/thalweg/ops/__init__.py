"""Every differentiable operation, each in one place."""
