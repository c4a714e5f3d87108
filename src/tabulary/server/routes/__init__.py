"""One module a route family. Each offers ``routes(platform) -> list[Route]``."""
