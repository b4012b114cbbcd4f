"""From an image file to a batch: reading, transforms, samplers, the plain and the fast path."""
