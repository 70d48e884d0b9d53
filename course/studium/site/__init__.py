"""The static edition: lessons as web pages that need no server, no kernel and no network.

Data flows in one direction: ``running`` executes a compiled lesson, ``runs`` keeps the result, ``cells`` turns it into
the blocks of a page (``prose``, ``maths``, ``code``, ``outputs``), ``pages`` lays them out, ``building`` writes the
site.
"""
