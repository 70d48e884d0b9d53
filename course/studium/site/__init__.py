"""The static edition: lessons as web pages that need no server, no kernel and no network.

One direction: ``running`` executes a compiled lesson, ``runs`` keeps what came out, ``cells`` turns it into the blocks
of a page (``prose``, ``maths``, ``code``, ``outputs``), ``pages`` lays them out, ``building`` writes the site.
"""
