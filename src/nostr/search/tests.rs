//! Words, queries, ranks.
