"""Pictures for people: decision boundaries, embeddings, loss landscapes."""
