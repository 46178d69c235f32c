"""One conversation: what was heard, seen and said, and how a reply is made of it."""
