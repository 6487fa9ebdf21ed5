"""The shapes of requests and replies, as the OpenAPI document publishes them. Knows no search and no engine."""
