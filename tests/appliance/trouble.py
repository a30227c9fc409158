"""What keeps the test from running at all, told apart from what it finds: it says nothing about backups."""


class Trouble(Exception):
    """With the reason and, where there is one, the remedy."""
