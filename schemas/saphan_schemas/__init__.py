"""What the agencies, the processors and the receivers agree on: topics, Avro schemas and their bytes."""
