"""What makes networks fast on a CPU: packed weights, float32 products for bfloat16, batches without padding."""
