"""What a course holds about a person, in each place where it holds something: to export it, and to erase it."""
