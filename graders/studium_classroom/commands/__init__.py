"""The commands of the course server, for the machine on which it runs. They may be used while it runs."""
