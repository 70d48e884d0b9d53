"""The course server's commands, for the machine it runs on. They can be used while the server is running."""
