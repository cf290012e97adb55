"""What a camera gives: raw files, colour filter arrays, noise, and the way to a picture."""
