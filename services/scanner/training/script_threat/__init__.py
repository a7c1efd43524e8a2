"""Training of the script threat model: from the labelled data to a model pack."""
