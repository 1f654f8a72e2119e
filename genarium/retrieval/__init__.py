"""Your own documents, asked: documents -> passages -> index; then retrieve, rank and generate, each on its own."""
