"""The folder that a trained model is kept in: written whole or not at all, and read again with
onnxruntime or with torch."""
