"""GraphQL at ``/graphql`` and ``/graphql/system`` (spec files-graphql-realtime-flows §1).

graphql-core parses, validates and introspects; it does not execute. A document becomes an *operation* once
(:mod:`documents`): for each root field a selection (:mod:`selection`) that the read engine turns into one statement
whose JSON already is the answer, with GraphQL's own names and formats. What is left to do for a known document is a
look-up, one call of the database and gluing texts together (:mod:`execution`).

The schema (:mod:`schema`) is one for each permission content and version of the data model. Its types are made when a
document or an introspection asks for them, so that the first query of a new role waits for milliseconds.
"""
