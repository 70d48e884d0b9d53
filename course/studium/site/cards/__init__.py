"""The images of a site's cards, which show when a page is shared: PNG, because few services show SVG.

``card`` lays out the title and the lesson's first diagram, ``shapes`` and ``lettering`` turn them into polygons, and
``raster`` fills polygons and writes the file.
"""
