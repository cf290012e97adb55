"""What a network costs and how to make it fast."""
