"""No models. Django sends `post_migrate` to apps with this module alone, and `config.apps` waits for it."""
