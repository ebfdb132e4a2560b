"""What users construct, fit and apply."""
