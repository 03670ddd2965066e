"""Finding events, deliveries and refused requests: pages that cost the same at any size, and pasted ids."""
