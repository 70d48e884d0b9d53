"""What a class's answers reveal about an assignment: its items, its mistakes, and who wrote alike.

Plain functions over `ClassData`, which `reading.read_class` takes from a course folder.
"""
