"""WebSockets: the JSON protocol, GraphQL subscriptions and the log stream (spec files-graphql-realtime-flows §2).

:mod:`door` decides who may come in, :mod:`client` knows who they are from then on (also after their token has ended),
:mod:`connection` sends without waiting for anybody, and one module a protocol says what messages mean. What there is
to be told comes from :mod:`tabulary.services.subscriptions`.
"""
