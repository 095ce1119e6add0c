"""What a frozen network, and a look at the file, tell of each photograph."""
