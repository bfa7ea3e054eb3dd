"""Strategies of small language models: prompts, trainings, invented rows, and what they cost in time and memory."""
