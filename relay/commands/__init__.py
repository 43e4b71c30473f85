"""The commands of the ``relay`` program, one module each.

A module has ``register(commands)``, which declares its arguments, and ``run(arguments) -> exit code``. What a
command needs of the rest of the house is imported inside ``run``: ``relay token`` must not wait for a
WebSocket server to load.
"""
