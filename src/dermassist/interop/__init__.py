"""Exchange with clinical systems."""
