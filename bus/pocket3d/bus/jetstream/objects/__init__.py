"""Files in JetStream's object stores: their layout, upload and download."""
