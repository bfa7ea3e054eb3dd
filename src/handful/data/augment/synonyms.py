"""Groups of common English words that can stand for each other without a change of topic or tone.

Left out on purpose: words with a second everyday meaning that would move the topic ("bank", "left", "fixed"), and
pairs of unequal strength ("good", "great") or unequal taste ("cheap", "inexpensive"), which would move the sentiment.
Each form of a verb or a noun is a group of its own, so that grammar mostly survives.
"""

from __future__ import annotations

GROUPS = tuple(
    tuple(line.split())
    for line in """
additional extra
additionally furthermore moreover
advantage benefit
advantages benefits
advert advertisement
adverts advertisements
aeroplane airplane
aeroplanes airplanes
afraid frightened scared
afterward afterwards subsequently
allow permit
allowed permitted
allowing letting permitting
allows permits
almost nearly
alter modify
altered modified
altering modifying
although though
among amongst
amount quantity
amounts quantities
annoy irritate
annoyed irritated
annoying irritating
annoys irritates
answer reply
answered replied responded
answering replying responding
answers replies
anybody anyone
approximately roughly
area region
areas regions
ask inquire
asked inquired
asking inquiring
assist help
assisted helped
assisting helping
assists helps
assumed presumed
assuming presuming
attempt try
attempted tried
attempting trying
attempts tries
attorney lawyer
attorneys lawyers
awful dreadful horrible terrible
began started
beginning starting
begins starts
beneath underneath
beautiful gorgeous
bicycle bike
bicycles bikes
big large
bigger larger
biggest largest
boring tedious
bought purchased
brave courageous
bravery courage
broader wider
broadly widely
buddy pal
buy purchase
buying purchasing
car automobile
cars automobiles
certainly definitely surely
chance opportunity
chances opportunities
child kid
children kids
choose select
chooses selects
choosing selecting
chose selected
clarified explained
clarify explain
clarifying explaining
clearly obviously
clever intelligent
client customer
clients customers
collect gather
collected gathered
collecting gathering
companies firms
completely entirely totally
completing finishing
complex complicated
concerning regarding
confirming verifying
confusing perplexing puzzling
consequently hence therefore thus
contemporary modern
conversation discussion
conversations discussions
correctly properly
couch sofa
courteous polite
courteously politely
crucial vital
crying weeping
currently presently
dad father
dads fathers
damp moist
danger peril
dangerous hazardous
delicious tasty
delightful lovely
dependable reliable
disadvantage drawback
disadvantages drawbacks
disappeared vanished
discover find
discovering finding
discovers finds
displayed showed
displaying showing
doctor physician
doctors physicians
easier simpler
easiest simplest
employee worker
employees workers
enjoyable pleasant
enormous huge
enough sufficient
entire whole
error mistake
errors mistakes
especially particularly
essential indispensable
eventually ultimately
everybody everyone
exactly precisely
exam examination
exams examinations
exceedingly extremely
excellent superb
fantastic terrific
film movie
films movies
foolish silly
forbidden prohibited
formerly previously
frequently often
fridge refrigerator
frightening scary
garbage rubbish trash
generally normally typically usually
genuine sincere
gifts presents
glad happy
gladly happily
goodbye bye
grandfather grandpa
grandmother grandma
grateful thankful
gratefully thankfully
happen occur
happened occurred
happening occurring
happens occurs
hello hi
helpful useful
honest truthful
however nevertheless nonetheless
hurried rushed
illness sickness
immediately instantly
impolite rude
importance significance
incorrect wrong
incorrectly wrongly
info information
inform notify
informed notified
informing notifying
informs notifies
initially originally
injured wounded
instructor teacher
instructors teachers
issue problem
issues problems
journey trip
journeys trips
jumped leaped
jumping leaping
lately recently
located situated
locations places
mainly mostly primarily
many numerous
marvelous wonderful
maybe perhaps
mentioned noted
merely simply
method technique
methods techniques
mom mother
moms mothers
need require
needed required
needs requires
occasionally sometimes
ocean sea
ok okay
outcome result
outcomes results
peculiar strange
phone telephone
phones telephones
photo photograph
photos photographs
presumably probably
pupils students
queries questions
query question
quick rapid
quickly rapidly swiftly
rarely seldom
really truly
regrettably sadly unfortunately
repair fix
repairing fixing
sad unhappy
sadness sorrow
shop store
shops stores
shout yell
shouted yelled
shouting yelling
silently quietly
slightly somewhat
somebody someone
sorrowful mournful
speaking talking
spoke talked
sturdy robust
suddenly abruptly
threw tossed
throwing tossing
till until
tiny minuscule
tired weary
toward towards
understand comprehend
understood comprehended
using utilizing
vacation holiday
vacations holidays
while whilst
worried concerned
""".strip().splitlines()
)
"""Each group in lower case; no word is in two of them."""

SYNONYMS = {word: tuple(other for other in group if other != word) for group in GROUPS for word in group}
"""A word → the words that can stand for it."""
