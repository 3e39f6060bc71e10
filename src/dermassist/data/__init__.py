"""HAM10000: fetch, check, read, split, cache."""
