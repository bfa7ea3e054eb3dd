"""General questions with answers, prompts and sentences, written for handful: what tuning must not make forgotten."""

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

FORGOTTEN = 0.05
"""A forgetting of more than so many nats per token is worth a word."""

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

SENTENCES: tuple[str, ...] = (
    "The train to the coast leaves at half past seven every morning.",
    "She planted tomatoes and basil on the balcony.",
    "Heavy rain flooded the road between the two villages.",
    "The match ended in a draw after extra time.",
    "A new bridge will connect the old town with the harbour.",
    "He forgot his keys and waited an hour on the stairs.",
    "The recipe needs two eggs, a cup of flour and some milk.",
    "Our neighbours are painting their house yellow.",
    "The museum is closed on Mondays.",
    "Scientists found water under the ice of a distant moon.",
    "The baby slept through the whole journey.",
    "Prices of bread and butter rose again this month.",
    "They walked along the river until it got dark.",
    "The printer is out of paper.",
    "A violin and a piano could be heard through the open window.",
    "The doctor told him to drink more water.",
    "Wolves have returned to the forests in the north.",
    "The teacher explained fractions with slices of an apple.",
    "My phone battery is empty by noon.",
    "The government announced elections for the autumn.",
    "Please close the door, it is cold outside.",
    "The old clock in the kitchen is ten minutes slow.",
    "Two ships collided in thick fog near the island.",
    "She won the race by less than a second.",
    "The film is too long, but the ending is beautiful.",
    "Farmers are worried about the dry spring.",
    "He repaired the bicycle with a spoon and some tape.",
    "The court postponed the hearing until next week.",
    "Fresh snow covered the roofs of the town.",
    "The dog barked at the postman again.",
    "This jacket is warm, light and has deep pockets.",
    "The company will hire fifty engineers next year.",
    "We need three more chairs for the dinner tonight.",
    "A loud bang woke the whole street.",
    "The lecture on medieval trade was surprisingly funny.",
    "Volcanoes shaped this chain of islands.",
    "The hotel room had a view of the car park.",
    "She speaks four languages and is learning a fifth.",
    "The bank closes its branch in the village.",
    "He proposed to her on the top of the mountain.",
    "The software update takes about twenty minutes.",
    "Children under six travel free of charge.",
    "The soup was far too salty.",
    "An unknown painting by a famous artist was sold in Vienna.",
    "The wind turned and the boats came home early.",
    "Vaccines train the body to recognise a disease.",
    "I would rather stay at home and read.",
    "The team lost its captain to an injury.",
    "Solar panels now cover the roof of the school.",
    "The thief climbed through the bathroom window.",
    "Her grandmother taught her how to knit.",
    "The square root of eighty-one is nine.",
    "Bus drivers will be on strike from Thursday.",
    "The garden smells of lavender after the rain.",
    "He lost the bet and had to wash the car.",
    "The treaty was signed by eleven countries.",
    "Turn left at the church and follow the wall.",
    "The orchestra tuned its instruments.",
    "A good knife is the most useful tool in a kitchen.",
    "The stars are brighter far away from the city.",
)
"""Sixty sentences about anything, so that a few rows of one topic do not decide what counts as near."""
