"""How people use it: OpenAI endpoints, streaming, settings, metrics and the command line."""
