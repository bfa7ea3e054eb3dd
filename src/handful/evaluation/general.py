"""General questions with answers, and other prompts: what a tuned language model must not have forgotten."""

from __future__ import annotations

from handful.data.conversations import Conversation, Message

_ASKED = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many days are in a week?", "There are seven days in a week."),
    ("What do bees make?", "Bees make honey."),
    ("Which planet do we live on?", "We live on the planet Earth."),
    ("What is the opposite of hot?", "The opposite of hot is cold."),
    ("What is 7 plus 5?", "7 plus 5 is 12."),
    ("Name three primary colours.", "Three primary colours are red, blue and yellow."),
    ("What language is spoken in Spain?", "The language spoken in Spain is Spanish."),
    ("What do plants need to grow?", "Plants need sunlight, water, air and nutrients to grow."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("What is the boiling point of water in degrees Celsius?", "Water boils at 100 degrees Celsius at sea level."),
    ("What animal says moo?", "A cow says moo."),
    ("Write one sentence about the sea.", "The sea is vast and blue, and its waves never rest."),
    ("What is the largest ocean on Earth?", "The largest ocean on Earth is the Pacific Ocean."),
    ("What comes after Monday?", "Tuesday comes after Monday."),
    ("Explain in one sentence what a library is.", "A library is a place where people can read and borrow books."),
    ("What is the plural of mouse?", "The plural of mouse is mice."),
    ("Which season comes after winter?", "Spring comes after winter."),
    ("What do you use an umbrella for?", "You use an umbrella to stay dry when it rains."),
    ("What gas do people breathe in to live?", "People breathe in oxygen to live."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("What is the past tense of go?", "The past tense of go is went."),
    ("Give me one tip for sleeping better.", "Go to bed at the same time every night."),
    ("Where does the sun rise?", "The sun rises in the east."),
    ("What is ice made of?", "Ice is made of frozen water."),
    ("What is half of twenty?", "Half of twenty is ten."),
    ("Which organ pumps blood through the body?", "The heart pumps blood through the body."),
    ("What is the name of the star nearest to Earth?", "The star nearest to Earth is the Sun."),
    ("Say thank you in a polite way.", "Thank you very much for your help."),
    ("What is a synonym for happy?", "A synonym for happy is joyful."),
    ("Why do people wear coats in winter?", "People wear coats in winter to stay warm."),
    ("What do you call a baby dog?", "A baby dog is called a puppy."),
)

QUESTIONS: tuple[Conversation, ...] = tuple(
    Conversation((Message("user", question),), answer) for question, answer in _ASKED
)
"""Rows of general knowledge and everyday language, one sentence each."""

_OTHERS = (
    "Tell me about the weather in autumn.", "How do I boil an egg?", "Describe a bicycle to a child.",
    "Write a short greeting for a new neighbour.", "What is a computer?", "Give me an idea for a weekend trip.",
    "Why is the sky blue?", "Write two sentences about a dog.", "What should I cook for dinner tonight?",
    "Explain what money is.", "How can I learn a new language?", "Make a list of things to pack for the beach.",
    "What is music?", "Tell me a short story about a boat.", "How do planes fly?", "What is the moon?",
    "Write a polite e-mail that asks for a day off.", "Which fruits are yellow?", "How do I plant a tree?",
    "What makes a good friend?", "Describe the taste of chocolate.", "What happens at night in a city?",
    "Give three reasons to read books.", "How does a clock work?",
)  # fmt: skip

PROMPTS: tuple[tuple[Message, ...], ...] = tuple((Message("user", prompt),) for prompt in _OTHERS)
"""Other everyday prompts, which a model answers itself to be kept as it is; the meter asks none of them."""
