"""What a benchmark leaves to read: tables for terminals, Markdown and LaTeX, CSV files, sheets of faces, a page."""
