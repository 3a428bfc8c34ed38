"""What writes: enqueuing, attempts, sweeping, operating."""
