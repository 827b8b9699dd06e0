"""What a model is given of a conversation, how it is counted, and what is told about it."""
