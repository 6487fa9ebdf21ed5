"""What affinity is worth: prefix-cache hits of a fleet with each tree on one engine, against calls sent anywhere."""
