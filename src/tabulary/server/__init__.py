"""The ASGI application: :mod:`tabulary.server.asgi` lists its layers and routes in order."""
