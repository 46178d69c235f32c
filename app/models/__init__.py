"""Getting another model while the conversation goes on: what is shown, what is announced, when it is switched."""
