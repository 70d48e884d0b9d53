"""What goes over the wire: messages, pickle towards the student, and a closed decoder back."""
