"""From what a task made of every token to answers about places in the text: words, entities, spans."""
