"""What users of the tool might write; the tests read it as text."""
