"""The JSON of the routes, as closed models."""
