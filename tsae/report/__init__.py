"""The report page, and how scores and events compare with labels."""
