"""What there is: collections, fields and relations, merged from the catalog and metadata."""
