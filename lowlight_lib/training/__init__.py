"""Recipes, the training loop, checkpoints, losses, and the scores."""
