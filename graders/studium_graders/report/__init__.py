"""What a class's answers say about an assignment: its items, its mistakes, and who wrote alike.

Plain functions over `ClassData`, which `reading.read_class` takes from a course folder.
"""
