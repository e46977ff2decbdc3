"""Large language models: one door, prompts, replies, what was asked and what it cost."""
