"""The service that Oxbatch replaces, rebuilt from its description for comparison."""
