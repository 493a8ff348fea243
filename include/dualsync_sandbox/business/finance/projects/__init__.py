"""Projects in Finance: stages and forecasts."""
