"""How to search: trees, selection, steps, budgets, votes and strategies. Knows no HTTP, no vLLM and no torch."""
