"""What two processes say to each other: frames on a socket, messages, nodes of values, requests that may be nested."""
