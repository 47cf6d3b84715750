"""The domain: what must hold, free of gRPC, protobuf and SQL.

A package each for what is registered (``registry``), how it moves (``lifecycle``, ``policy``), what it must record
(``schema``, ``metrics``), how it is found and compared (``search``, ``comparison``, in the language of
``expressions``), who may do what (``access``), what runs (``deployments``), and what is told of it all (``journal``,
``webhooks``). ``ports`` says what all of them need of storage.
"""
