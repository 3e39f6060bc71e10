"""Where the evidence lies: maps, pictures of them, measures."""
