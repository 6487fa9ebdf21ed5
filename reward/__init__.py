"""What a path is worth: token confidence, reward models, rules; and what its answer is."""
