"""The HTTP server: OpenAI's routes and one for every task, over the same road as every other door."""
