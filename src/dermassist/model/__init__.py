"""The network, its weights, and the bundle that it ships in."""
