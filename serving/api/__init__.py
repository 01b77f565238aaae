"""The HTTP interface: routes, schemas, errors and middleware over a service."""
