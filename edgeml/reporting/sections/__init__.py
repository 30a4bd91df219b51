"""The parts of a report, one file each: what it says, and how its charts are drawn."""
