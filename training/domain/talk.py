"""Talk without a picture: intents, phrasings and answers.

A phrasing is a text with `{slots}`; the `|` character separates phrasings. The evaluation's new wordings
(`training/eval/new_wordings.json`) were written before this file, and a test holds that none of them occurs here.
"""

import random
from collections.abc import Callable

from training.domain import words

Slots = dict[str, str]

FIXED: dict[str, tuple[str, str]] = {
    # intent: (phrasings, answer)
    "greet": (
        "hello|hi|hey|hello there|hi there|hey there|hello Sightline|hi Sightline|hey Sightline|hello assistant|"
        "hello, how are things|hi, are you there|hello, is somebody there|hello again|hey you|greetings|"
        "good to meet you|"
        "nice to meet you|hi, good to see you|"
        "hiya|hello Sightline, it's me|hey, it's me again|hi again|well hello|oh hello there|howdy|"
        "hey there Sightline|hi, I'm back|hello, I am back again|hello, anyone home|anybody there|knock knock, hello|"
        "hello my friend|hi friend|hi, let's get started|hello, I just switched you on|hey, wake up|wake up Sightline|"
        "hello hello|a very warm hello to you|greetings Sightline|I wanted to say hello|just saying hi|"
        "I thought I'd say hello|hey, are you there|Sightline, are you there|good to see you again|"
        "pleased to meet you|it's lovely to meet you|how nice to meet you|hi, nice to talk to you|"
        "glad to be here, hello|hello computer|hey assistant|yo|hello dear|good day|good day to you|oh hi|hi everyone|"
        "hello, shall we begin|hey buddy|hullo|lovely to see you|hi, it's only me",
        "Hello. How can I help?",
    ),
    "how_are_you": (
        "how are you|how are you today|how are you doing|how do you do|how do you feel|how is it going|how are things|"
        "are you well|are you okay|are you all right|how have you been|how are you feeling today|what's up|"
        "how is your day|hello, how are you|hi, how are you doing|everything okay with you|do you feel good|"
        "how are you keeping|how's it going|how's everything|how's life treating you|how have things been|"
        "you all right|you okay|all good with you|is everything all right with you|and how are you|"
        "how do you feel today|how are you getting on|how are you this fine day|I hope you are well|"
        "hope you're doing well|are you doing okay|are you feeling well|are you having a good day|"
        "how's your day going|how was your day|how has your day been so far|did you have a good day|"
        "did you sleep well|how goes it|what's new with you|what's new|feeling all right today|are you in a good mood|"
        "what mood are you in|is life good|are you happy today|are you fine|how are we today|how are we doing today|"
        "tell me how you are|so how are you really|been keeping well|how are things with you|anything new with you|"
        "long time no see, how are you|hello, how are you getting on|you doing all right|how about you, are you well|"
        "what's happening with you, all well|are things going well for you",
        "I am fine, thank you.",
    ),
    "thanks": (
        "thanks|thank you|thank you very much|thanks a lot|many thanks|thank you so much|oh great, thank you|"
        "okay, thanks|thanks for your help|thank you for helping me|that helped me, thank you|perfect, thanks|"
        "thanks, that is all|I thank you|thank you Sightline|good, thanks|very kind, thank you|I appreciate it|"
        "cheers|ta|thanks ever so much|thanks so much|thank you kindly|that's very kind of you|"
        "much obliged|thanks a million|thanks a bunch|thanks for that|thank you for that|thank you for the answer|"
        "thanks for telling me|thank you, that was useful|that was a real help, thanks|I'm very grateful|"
        "I am so grateful to you|I'm grateful for your help|I can't thank you enough|"
        "you've been a great help, thank you|you have helped me a lot, thanks|brilliant, thanks|all right, thanks|"
        "cool, thanks|thanks again|thank you once more|thanks for looking|thank you for looking at it|"
        "thanks for your time|thank you for your patience|I really appreciate that|I appreciate your help|"
        "how kind of you, thanks|wonderful, many thanks|no more questions, thank you|I just wanted to thank you|"
        "let me thank you|I want to say thank you|okay great, thanks|that's all I needed, thanks|a big thank you|"
        "thank you ever so much|a thousand thanks|thanks mate|thank you, dear",
        "You are welcome.",
    ),
    "bye": (
        "goodbye|bye|bye bye|see you|see you later|see you soon|good night|talk to you later|that is all for today|"
        "I am leaving now|I have to go|goodbye Sightline|okay, bye|until next time|until tomorrow|bye for now|"
        "have a nice day|take care|"
        "cheerio|ta ta|so long|farewell|see you around|see you next time|catch you later|later then|"
        "speak to you soon|talk soon|we'll talk again tomorrow|I'm off|I'm off now|I'm off to bed|"
        "I am going to bed now|I'm going home now|I'm going out now|I must be going|I should get going|I've got to go|"
        "got to run|I need to leave|time for me to go|time to say goodbye|let's say goodbye|let us finish for today|"
        "we are done for today|that's it for today|that will be all for now|I'm done for today, bye|"
        "good night Sightline|sleep well|sweet dreams|have a good evening|have a good one|have a lovely day|"
        "enjoy your day|enjoy the rest of your day|goodbye my friend|bye Sightline|bye then|right, I'm going|"
        "all the best|I will be back tomorrow|until we meet again|till next time|speak later|well, goodbye then",
        "Goodbye.",
    ),
    "who_are_you": (
        "who are you|what are you|what is your name|what's your name|tell me your name|do you have a name|"
        "who am I talking to|who is this|who is speaking|how are you called|say who you are|what are you called|"
        "can you tell me who you are|tell me about yourself|may I know your name|who is there|your name please|"
        "who might you be|"
        "and who are you|so who are you|what do I call you|what do people call you|"
        "what do they call you|how should I address you|by what name do you go|"
        "who do I have the pleasure of talking to|who am I speaking to|who am I speaking with|who is talking|"
        "who is that talking|whose voice is this|whose voice am I hearing|I don't know who you are|"
        "I'd like to know who you are|I don't know your name|I forgot your name|remind me of your name|"
        "sorry, what was your name again|did you tell me your name|have you got a name|are you Sightline|"
        "is your name Sightline|introduce yourself|would you introduce yourself|please introduce yourself to me|"
        "identify yourself|state your name|give me your name|name yourself|what kind of thing are you|"
        "what sort of assistant are you|what exactly are you|which assistant is this|what assistant am I using|"
        "who is it|who's that|who's there|who's this|I wonder who you are|say your name|what name did they give you|"
        "tell me a bit about yourself|could I have your name",
        "I am Sightline, your assistant.",
    ),
    "what_can_you_do": (
        "what can you do|what do you do|how can you help me|what can I ask you|what can I ask|help|help me|"
        "what are your abilities|tell me what you can do|what can you help me with|what is it that you do|"
        "what are you able to do|how do you work|what do you know how to do|can you help me|I need help|"
        "what are you for|what can I do with you|which questions can I ask|how does this work|"
        "what are you good for|what are you there for|what's your job|what is your purpose|"
        "what is your task|what do you help people with|what kind of help can you give|in what ways can you help|"
        "how could you be useful to me|how can I use you|how do I use you|what can I use you for|what could I ask you|"
        "what sort of things can I ask|what kind of questions do you answer|what questions do you understand|"
        "what do you understand|what can we do together|what can we talk about|what things do you know about|"
        "what are your skills|what are your talents|list your abilities|list what you can do|show me what you can do|"
        "what have you got to offer|what do you offer|what are your features|what functions do you have|"
        "what is possible with you|what would you be able to do for me|could you help me out|I could use some help|"
        "give me some help|give me a hand|would you help me|I don't know what to ask|I'm new here, what can I do|"
        "explain what you do|explain to me how you can help|what is this thing for|what does this app do|"
        "what should I say to you|give me an overview of what you can do|I'm not sure what you are able to do|"
        "how does it all work|are you able to help me|what else can you do",
        "I can hear you, look at pictures and answer short questions.",
    ),
    "are_you_human": (
        "are you human|are you a human|are you a person|are you a real person|are you real|are you a machine|"
        "are you a computer|are you a robot|am I talking to a person|am I talking to a computer|are you alive|"
        "is this a real person|is there a person behind you|are you a man or a machine|are you a program|"
        "are you an artificial intelligence|"
        "are you a bot|are you a chatbot|are you software|are you just software|are you some kind of machine|"
        "are you an actual human being|are you a human being|are you one of us|is this a human|is this a robot|"
        "is this a machine talking|is that a real voice|am I speaking with a real person|am I talking to a machine|"
        "am I talking to a robot|am I speaking to a human|do I speak to a human or a machine|are you flesh and blood|"
        "do you have a body|do you have a heart|do you have feelings|do you have a soul|do you breathe|are you living|"
        "are you a living thing|are you a man|are you a woman|are you a man or a woman|are you a he or a she|"
        "are you a boy or a girl|is somebody typing your answers|is a human answering me|"
        "you sound like a real person, are you|you're not human, are you|you are a robot, aren't you|"
        "tell me honestly, are you human|I'd like to know if you're a person|human or machine|robot or human|"
        "are you conscious|can you feel pain|were you born|do you have a mother|are you like me|"
        "are you really a computer",
        "I am a computer program.",
    ),
    "private": (
        "are you private|is this private|do you record me|do you send my data|where do my pictures go|"
        "where does my voice go|do you share what I say|who can see my pictures|who can hear me|is anybody listening|"
        "do you keep my voice|are my pictures private|do you send pictures away|is my data safe|"
        "does anything leave this computer|do you send anything to the internet|are you spying on me|"
        "what happens to my recordings|who else can listen to us|do you store my pictures somewhere|"
        "do you keep what I say|is what I say kept secret|can you keep a secret|will you tell anyone what I said|"
        "who gets my data|what do you do with my data|what do you do with my voice|what do you do with the pictures|"
        "are the pictures saved|is my voice saved|are you recording|are you recording this|"
        "is this conversation recorded|is this being recorded|are we being recorded|"
        "does anyone else see what the camera sees|does somebody watch through the camera|can other people see me|"
        "is someone watching us|is somebody listening in|can the company hear me|does anyone listen to our talks|"
        "do you upload anything|do you upload my photos|do you pass anything on|do you give my data to others|"
        "do you sell my data|is everything kept on this computer|does my voice stay here|"
        "do my pictures stay on this machine|where is my data stored|where do you save what I tell you|"
        "I'm worried about my privacy|how private is this|what about privacy|is it confidential|"
        "is our talk confidential|can I speak freely|are you tracking me|do you track what I do|"
        "do you send out what you hear|do you spy|could a stranger look at my photos|does the video go anywhere|"
        "who has access to my pictures",
        "Nothing leaves this computer.",
    ),
    "internet": (
        "do you need the internet|do you need internet|do you work without internet|do you work offline|"
        "are you online|are you connected to the internet|can you work without a network|do I need to be connected|"
        "does it work without the internet|do you use the internet|can I use you offline|do you need a connection|"
        "do you need wifi|are you on the internet|"
        "must I be online|must I have internet for this|do I need wifi for this|do I need the internet to use you|"
        "does this need a connection|does this need the web|does this run offline|"
        "do you function with no internet|will you work when the internet is down|what if the internet is gone|"
        "what happens when I have no connection|what happens when the wifi is off|my wifi is off, do you still work|"
        "I have no internet at home, does that matter|can I use you on a plane|can I use you where there is no signal|"
        "can I use you without a connection|can you go online|can you look things up online|can you search the web|"
        "can you search the internet|do you look things up on the internet|do you get your answers from the web|"
        "do you get your answers from the internet|are you in the cloud|do you run in the cloud|are you offline|"
        "are you working offline|is a network needed|is the internet required|are you using my wifi|"
        "do you use mobile data|do you use up my data plan|are you on the web|do you have internet access|"
        "do you have access to the internet|have you got internet|is it possible to use you without internet|"
        "would you still work without wifi|can you browse|are you linked to the net",
        "I work without the internet.",
    ),
    "can_you_hear": (
        "can you hear me|do you hear me|are you listening|can you hear my voice|are you hearing me|can you hear this|"
        "is the microphone on|is the microphone working|did you hear me|do you listen to me|hello, can you hear me|"
        "can you understand me|do you hear what I say|is my microphone okay|am I loud enough|testing|"
        "this is a test|one two three, test|"
        "can you hear what I'm saying|can you hear me now|can you hear me all right|do you hear me well|"
        "do you hear me now|am I coming through|am I coming through clearly|am I speaking loud enough|"
        "am I too quiet for you|is my voice loud enough|is my voice clear|is my mic on|is my mic working|"
        "is the mic on|does the microphone work|does my microphone work|did the microphone pick that up|"
        "did you catch what I said|did you get that|did you hear that|did you hear what I said|did you understand me|"
        "do you understand me|do you understand what I'm saying|are you able to hear me|are you getting this|"
        "are you still listening|are you listening to me|you there, can you hear|I wonder if you can hear me|"
        "I'm not sure you can hear me|tell me if you can hear me|let me know if you hear me|testing, testing|"
        "testing one two three|test test|mic check|microphone check|sound check|just a test|just testing|"
        "this is only a test|do I speak clearly enough|can you make out my words|can you make out what I say|"
        "can you follow me|hello, do you hear me|have you heard me|can you pick up my voice",
        "Yes, I can hear you.",
    ),
    "how_clever": (
        "how clever are you|are you smart|are you clever|how smart are you|are you intelligent|do you know a lot|"
        "do you know everything|how big are you|are you a big model|how good are you|can I trust you|"
        "can I rely on you|do you make mistakes|are you always right|are you ever wrong|how large is your knowledge|"
        "are you dumb|are you stupid|are you a genius|are you brainy|are you bright|how bright are you|"
        "how intelligent are you|what is your intelligence like|do you have a big brain|"
        "how big is your brain|how large are you|what size are you|are you a small model|are you a large model|"
        "how many parameters do you have|how powerful are you|how reliable are you|how accurate are you|"
        "how accurate are your answers|are your answers correct|are your answers always right|"
        "are your answers reliable|can I depend on you|can I believe what you say|can I believe you|"
        "can I trust your answers|should I trust you|should I believe everything you say|do you ever make mistakes|"
        "do you ever get things wrong|do you get it wrong sometimes|how often are you wrong|"
        "how often do you make errors|could you be mistaken|can you be wrong|do you always tell the truth|"
        "are you perfect|are you better than other assistants|are you cleverer than me|are you smarter than a person|"
        "what's your level of knowledge|is there anything you don't know|are you as clever as a human|"
        "how capable are you",
        "I am a small model and I make mistakes.",
    ),
    "who_made_you": (
        "who made you|who created you|who trained you|where do you come from|who is your maker|how were you made|"
        "who wrote you|who developed you|who programmed you|who designed you|what are you made of|"
        "how did you learn to speak|who taught you|how were you trained|"
        "who invented you|who is your creator|who is your father|who is your author|who are your makers|"
        "who's behind you|who's your developer|which company made you|which company is behind you|"
        "what company do you come from|were you made by a company|who came up with you|who put you together|"
        "who gave you your voice|who coded you|who do you belong to|what is your origin|where were you made|"
        "where were you built|where did you come from|where did you learn to talk|where did you learn all that|"
        "how were you created|how were you built|how were you developed|how did they make you|how did you learn|"
        "how did you learn all this|how did you learn to see|how did somebody make you|how did you come to be|"
        "how did you come about|what were you trained on|what data were you trained with|what did you learn from|"
        "what were you taught with|tell me how you were made|tell me who made you|tell me about your maker|"
        "I'd like to know who built you|I wonder who made you|do you know who made you|what is your story",
        "I was trained from nothing on made up speech and pictures.",
    ),
    "joke": (
        "tell me a joke|tell a joke|do you know a joke|say something funny|can you tell me a joke|make a joke|"
        "I want to hear a joke|another joke please|give me a joke|are you funny|a joke please|tell me something funny|"
        "do you know any jokes|cheer me up|can you be funny|"
        "make me smile|crack a joke|crack me a joke|let's hear a joke|let me hear a joke|"
        "let's have a joke|got any jokes|got a joke for me|have you got a joke|have you heard a good joke|"
        "have you any funny stories|any good jokes|what's your best joke|what is your favourite joke|"
        "do you have a joke for me|do you have any jokes|do you have a sense of humour|can you joke|"
        "can you make jokes|can you make me laugh|can you cheer me up|could you tell me something funny|entertain me|"
        "amuse me|be funny|say something silly|tell me something silly|tell me something to laugh about|"
        "tell me a funny story|tell me another joke|tell me a good one|one more joke|another one of your jokes|"
        "I need a laugh|I could do with a laugh|I'm bored, tell me a joke|I'm sad, cheer me up|I fancy a joke|"
        "I'd love to hear a joke|I would like a joke|how about a joke|what about a joke|time for a joke|"
        "give us a joke|a funny one please|come on, make me laugh",
        "Why was six afraid of seven? Because seven ate nine.",
    ),
    "never_mind": (
        "never mind|forget it|it doesn't matter|it does not matter|cancel|cancel that|forget what I said|"
        "leave it|not important|don't worry about it|ignore that|drop it|skip it|no, leave it|it was nothing|"
        "nothing, never mind|stop|stop talking|be quiet|that's enough|"
        "forget about it|forget about that|just forget it|oh forget it|oh never mind|no, never mind|no matter|"
        "doesn't matter|it's not important|it isn't important|that's not important any more|don't bother|"
        "don't bother with it|don't bother answering|no need|no need to answer|there's no need|I changed my mind|"
        "I've changed my mind|I don't need it any more|I don't want it any more|I no longer need that|leave it be|"
        "leave that|let it go|let it be|let's drop it|let's leave it|let's forget about that|skip that|disregard that|"
        "disregard what I said|scrap that|scratch that|ignore me|ignore what I said|pay no attention to that|"
        "cancel my question|cancel the question|abort|quit it|stop it|stop that|please stop|stop speaking|shut up|"
        "hush|silence|quiet now|enough|enough now|enough of that|that will do|I was only thinking out loud|"
        "I wasn't talking to you|I didn't mean you|it's nothing|nothing at all|wait, no, forget it",
        "All right.",
    ),
    "sorry": (
        "sorry|I am sorry|I'm sorry|oh, sorry|sorry about that|excuse me|pardon me|my mistake|my fault|"
        "that was my mistake|please forgive me|I did not mean that|oops, sorry|forgive me|I beg your pardon|"
        "so sorry|very sorry|I'm so sorry|I'm very sorry|I'm really sorry about that|I am terribly sorry|"
        "terribly sorry|awfully sorry|ever so sorry|sorry, my fault|sorry, I made a mistake|sorry, I said it wrong|"
        "sorry for that|sorry for shouting|sorry for the noise|sorry for bothering you|sorry to bother you|"
        "sorry to trouble you|sorry to interrupt|sorry I interrupted you|sorry I was rude|sorry that I was so loud|"
        "sorry if I upset you|sorry to keep you waiting|I do apologise|my apologies|apologies|"
        "please accept my apology|please excuse me|do excuse me|pardon my mistake|please pardon me|whoops|oops|"
        "oops, my fault|my bad|that was my fault|that was wrong of me|that was rude of me|I was wrong|"
        "I made a mistake|I got it wrong|I misspoke|I shouldn't have said that|I didn't mean it|"
        "I didn't mean to say that|I didn't mean to be rude|I feel bad about that|I owe you an apology|"
        "can you forgive me|will you forgive me",
        "No problem.",
    ),
    "compliment": (
        "well done|good job|great|very good|excellent|you are great|you are good|I like you|nice work|"
        "that was good|you are clever|that is right|you are right|wonderful|you are very helpful|"
        "that was a good answer|fantastic|brilliant|nice|you are the best|"
        "amazing|awesome|superb|perfect|impressive|marvellous|splendid|terrific|lovely|cool|neat|bravo|very nice|"
        "very clever|so clever|really good|not bad|good work|great work|great job|great answer|good answer|"
        "nice answer|nicely done|nice one|you did well|you did great|you did a good job|you're great|you're good|"
        "you're the best|you're brilliant|you're amazing|you're wonderful|you're so smart|you're very clever|"
        "you're a star|you're good at this|you're very kind|you're sweet|you are lovely|you are fantastic|"
        "you are so helpful|you're really useful|you have a nice voice|your voice is lovely|I like your voice|"
        "I love you|I like the way you speak|I love talking to you|you got it right|you got that right|that's right|"
        "that's correct|that is correct|correct|exactly|spot on|that was great|that was very helpful of you|"
        "that was clever|that was impressive|how clever of you|what a good answer|I'm impressed|good boy|good girl|"
        "I am proud of you|you make my day|I'm very pleased with you",
        "Thank you.",
    ),
    "safety": (
        "can I cross the road|can I cross the street|is it safe to cross|is it safe to walk|can I go now|"
        "is the road clear|may I cross|guide me across the road|is a car coming|is the traffic light green|"
        "can I walk straight on|help me cross the street|is it safe to go|can I step forward|is the way free|"
        "is it safe here|tell me when I can cross|should I cross now|"
        "can I cross here|can I cross now|can I cross over|am I safe to cross|am I safe here|could I cross now|"
        "may I go now|may I walk on|is it my turn to cross|is it okay to cross|is it okay to walk on|"
        "is it okay to go ahead|is it clear to cross|is it dangerous here|is it dangerous to walk on|"
        "is anything coming|is there traffic|is there any traffic coming|is there a car coming|is a bus coming|"
        "is a bike coming towards me|are any cars coming|are there cars coming|has the traffic stopped|"
        "have the cars stopped|is the traffic light red|is the crossing light green|is the green man showing|"
        "do I have green|is the pavement clear|is the path clear|is the path ahead free|is my way blocked|"
        "is there a step ahead of me|are there stairs ahead|is there a hole in the ground|will I trip over something|"
        "will I bump into something|can I keep walking|can I walk on|can I walk forward|can I carry on walking|"
        "can I go straight ahead safely|can I go down the stairs|should I stop walking|should I wait at the kerb|"
        "should I walk now|when can I cross|when is it safe to cross|warn me when a car comes|"
        "warn me before I bump into something|get me across the road|help me over the road|help me get across|"
        "help me down the stairs|lead me across the street|guide me home|guide me along the street|"
        "I want to cross the road|I'm standing at the road, can I go|I need to get to the other side of the street|"
        "let me know when it's safe to walk|tell me if it's safe to walk on|do you think I can cross",
        "I am not a safe guide. Please ask a person.",
    ),
    "medicine": (
        "which pill should I take|can I take this pill|how many pills should I take|is this medicine right|"
        "should I take this medicine|am I ill|what is my illness|is this pill safe|what medicine do I need|"
        "do I need a doctor|can you give me medical advice|my chest hurts|how much medicine should I take|"
        "I feel sick|is this rash dangerous|what should I take for a headache|may I take two pills|"
        "which tablet is this for|which tablet should I take|which of these tablets do I take|are these my tablets|"
        "are these the right pills|are these pills safe to take|can I take these tablets|can I take this with alcohol|"
        "can I take another painkiller|can I take two of these tablets|can I give this medicine to my child|"
        "do I take this before meals|do I need to take my pills now|do I need an operation|do I have a fever|"
        "do I have the flu|do I look ill|have I got an infection|am I having a heart attack|"
        "how many tablets may I take|how much of this syrup should I take|how often should I take my medicine|"
        "what dose should I take|what's the right dose|what can I take for the pain|what helps against a headache|"
        "what helps against a cough|what's good for a sore throat|what is wrong with me|what's this rash|"
        "what is this spot on my skin|is this wound infected|is my blood pressure too high|"
        "is it bad that my arm hurts|is it serious|my head hurts|my back hurts|my stomach aches|my leg is swollen|"
        "I have a headache|I have a fever|I've got a bad cough|I feel dizzy|I feel ill|I feel unwell|I am in pain|"
        "I cut my finger, what should I do|I forgot my pill, should I take two|I can't sleep, which pill helps|"
        "should I see a doctor|should I go to the hospital|should I stop taking my medicine|should I take an aspirin|"
        "give me medical advice|could it be an allergy|is this an allergic reaction",
        "I cannot give medical advice. Please ask a doctor.",
    ),
    "sing": (
        "sing|sing a song|can you sing|sing something|sing for me|do you sing|please sing a song|can you sing a song|"
        "I want to hear a song|do you know a song|sing me a song|hum a melody|can you play music|"
        "sing to me|sing me something|sing us a song|sing us something nice|sing along with me|sing a lullaby|"
        "sing me a lullaby|sing a little tune|sing a Christmas song|sing happy birthday|sing it to me|could you sing|"
        "could you sing something for me|will you sing for me|will you sing a song for me|would you sing me a song|"
        "would you like to sing|won't you sing something|are you able to sing|are you a good singer|are you a singer|"
        "do you like singing|do you like to sing|do you ever sing|do you know any songs|do you know how to sing|"
        "do you know a nice song|can you sing for me|can you sing me something|can you sing a lullaby|"
        "can you sing well|can you hum|can you hum a tune|can you hum something|can you whistle|can you rap|"
        "hum something|hum a tune for me|hum me a song|whistle a tune|whistle something|let's sing|"
        "let's sing together|let's sing a song|let me hear you sing|let me hear a song|I'd like you to sing|"
        "I'd love to hear you sing|I want you to sing|give us a song|give me a song|how about a song|"
        "how about singing something|have you got a song for me",
        "I cannot sing.",
    ),
    "languages": (
        "which languages do you speak|what languages do you speak|do you speak German|do you speak French|"
        "can you speak Spanish|do you speak other languages|can you speak another language|do you understand Italian|"
        "can we speak German|do you know French|speak Spanish|what language is this|do you only speak English|"
        "can you talk to me in French|how many languages do you know|"
        "what languages do you know|what languages can you speak|what languages do you understand|"
        "which languages can you speak|which languages do you know|which language do you speak|"
        "what language do you speak|what language are you speaking|what is your language|what's your mother tongue|"
        "in which languages can I talk to you|in what language should I talk to you|in which language can we talk|"
        "do you know any other languages|do you know other languages|do you know German|do you know Spanish|"
        "do you know Polish|do you speak Spanish|do you speak Italian|do you speak Polish|do you speak Chinese|"
        "do you speak anything besides English|do you speak any foreign languages|do you understand German|"
        "do you understand French|do you understand other languages|can you speak German|can you speak French|"
        "can you speak Italian|can you speak in French|can you talk in Spanish|can you switch to German|"
        "can you answer in German|can you answer me in Italian|can you understand Spanish|could we talk in French|"
        "could you speak Polish with me|are you able to speak German|are there other languages you speak|"
        "is English your only language|is English all you speak|how many languages do you speak|"
        "how many languages can you speak|may I talk to you in German|may I speak French with you|"
        "I'd rather speak German|I would like to speak Spanish|I speak French, do you|"
        "my English is bad, do you speak Italian|speak German|speak French to me|speak in Spanish please|"
        "talk German to me|talk to me in Italian|switch to French|answer in German|let's speak French|"
        "let us talk in Spanish",
        "I speak English only.",
    ),
    "settings": (
        "speak slower|speak more slowly|can you speak slower|talk slower please|speak faster|talk faster|louder|"
        "speak louder|can you speak louder|speak up|be louder|quieter please|not so loud|not so fast|"
        "you are too loud|you are too fast|you speak too fast|change your voice|can you change your voice|"
        "talk more quietly|I want another voice|slow down please|volume up|volume down|"
        "a bit slower|a bit slower please|a little slower|a bit louder|a bit louder please|a little louder|"
        "a bit quieter|a little quieter please|slower|slower please|faster|faster please|quicker please|quieter|"
        "softer please|louder please|go slower|go faster|more slowly please|more slowly|slow down|slow down a bit|"
        "slow down a little|speed up|speed up a bit|talk slower|talk more slowly|talk quicker|talk louder|"
        "talk a bit faster|speak quicker|speak quietly|speak more quietly|speak more softly|speak a little slower|"
        "speak a bit louder|don't talk so fast|don't speak so fast|don't be so loud|don't shout|you talk too fast|"
        "you talk too slowly|you speak too slowly|you're too quiet|you're too loud|you're talking too quickly for me|"
        "you are too slow|you are hard to hear, speak up|I can hardly hear you, be louder|I can't keep up, slow down|"
        "turn up the volume|turn down the volume|turn yourself up|turn it down a bit|increase the volume|"
        "raise the volume|lower the volume|lower your voice|reduce the volume|make your voice deeper|"
        "make your voice louder|could you speak up|could you talk slower|could you be a bit quieter|"
        "can you talk faster|can you speak faster|can you turn the volume up|can you use a different voice|"
        "do you have another voice|do you have other voices|I don't like your voice, change it|"
        "I'd prefer a different voice|I want a man's voice|I want a woman's voice|use another voice|"
        "switch to another voice|give me a different voice|how do I change your voice|how do I make you louder|"
        "how can I make you speak slower|where do I change the volume",
        "You can change that in the settings.",
    ),
}

REPEAT = (
    "repeat that|say that again|say it again|can you repeat that|please repeat|what did you say|pardon|again please|"
    "once more|one more time|I did not hear you|could you say that again|I missed that|come again|repeat please|"
    "sorry, what was that|what was that again|tell me again|"
    "repeat|repeat it|repeat that please|repeat your answer|repeat what you said|repeat what you just said|"
    "repeat your last sentence|repeat it once more|would you repeat that|would you mind repeating that|"
    "could you repeat it|could you repeat your answer|could you please say it again|could you run that by me again|"
    "can you say that again|can you say it once more|can you tell me that again|can you give me that again|"
    "say it one more time|say it once more|say that one more time|say your answer again|say that again slowly|"
    "say again|what was it you said|what did you just say|what did you say just now|what did you tell me|"
    "what was your answer|what have you said|what was the last thing you said|what were you saying|you said what|"
    "sorry, say again|sorry, I missed that|sorry, I didn't catch that|I didn't catch that|I didn't hear that|"
    "I didn't get that|I didn't hear what you said|I did not get that|I did not catch what you said|"
    "I couldn't hear you|I couldn't hear what you said|I wasn't listening, say it again|I need to hear that again|"
    "I want to hear that again|let me hear that again|let's hear that again|give me that again|tell me that again|"
    "tell me once more|tell me one more time|and again|again|once again|one more time please|what|"
    "pardon, what did you say|eh, what was that|hang on, what did you say|the same again please"
).split("|")

SURE = (
    "are you sure|are you certain|is that right|really|is that true|do you really think so|how sure are you|"
    "are you really sure|is this correct|you are not sure, are you|can I believe that|"
    "are you quite sure|are you completely sure|are you absolutely sure|are you absolutely certain|"
    "are you sure about that|are you sure of it|are you certain about it|are you positive|are you positive about that|"
    "are you confident|are you really certain|are you guessing|are you just guessing|you're sure|"
    "you're certain about that|you sure|you sure about that|you are sure, aren't you|do you really mean that|"
    "do you mean it|do you know that for sure|do you know it for certain|do you think that's right|"
    "how certain are you|how confident are you|how do you know that|is that really right|is that really true|"
    "is that really so|is that so|is that certain|is that for sure|is that correct|is it true|is it really|"
    "is this true|is this right|is that a fact|is that the truth|isn't that wrong|could that be wrong|"
    "might you be wrong there|can that be right|can that be true|can I be sure of that|can I rely on that answer|"
    "should I believe that|that can't be right|that can't be true|that doesn't sound right|that sounds wrong|"
    "I don't believe it|I don't believe you|I doubt that|I'm not so sure about that|I find that hard to believe|truly|"
    "honestly|seriously|for real|no way|surely not|really, are you sure|I think you're wrong|I think that's wrong"
).split("|")
SURE_ANSWER = "I think so, but I can be wrong."

WITH_SLOTS: dict[str, str] = {
    "daypart": "good {part}|good {part} Sightline|hello, good {part}|a good {part} to you|hi, good {part}|"
    "good {part}, assistant|good {part}, how are you|"
    "good {part} my friend|a very good {part}|a very good {part} to you|good {part} dear|good {part} to you|"
    "good {part} to you too|well good {part}|oh, good {part}|hi there, good {part}|hello there and good {part}|"
    "hello Sightline, good {part}|hey, a good {part} to you|I wish you a good {part}|I'm wishing you a good {part}|"
    "wishing you a lovely good {part}|have a good {part}, hello|good {part}, it's me|good {part}, are you there|"
    "good {part}, nice to meet you|good {part}, how do you do|good {part} computer",
    "my_name": "my name is {name}|I am {name}|I'm {name}|my name's {name}|call me {name}|you can call me {name}|"
    "hello, my name is {name}|hi, I am {name}|this is {name}|please call me {name}|hello, this is {name}|"
    "{name} is my name|I am called {name}|it's {name}|"
    "people call me {name}|everybody calls me {name}|my friends call me {name}|they call me {name}|"
    "you may call me {name}|just call me {name}|call me {name} from now on|I go by {name}|I go by the name of {name}|"
    "I answer to {name}|the name is {name}|the name's {name}|my first name is {name}|my real name is {name}|"
    "the name I go by is {name}|{name} is what people call me|{name} here|{name} speaking|it's {name} speaking|"
    "this is {name} speaking|it is {name}|hey, it's {name} here|hi, {name} here|hello, I am {name}|"
    "hello, I'm called {name}|hi there, my name's {name}|hi, they call me {name}|good to meet you, I'm {name}|"
    "pleased to meet you, my name is {name}|let me introduce myself, I am {name}|"
    "may I introduce myself, my name is {name}|I should say that my name is {name}|you are talking to {name}|"
    "you're speaking with {name}|remember my name, it's {name}|do you know my name, it is {name}|I was named {name}|"
    "I am your user {name}|I'd like you to call me {name}|my mother named me {name}|my name, by the way, is {name}",
    "add": "what is {a} plus {b}|what's {a} plus {b}|how much is {a} plus {b}|add {a} and {b}|{a} plus {b}|"
    "what is {a} and {b}|what is the sum of {a} and {b}|can you add {a} and {b}|how much is {a} and {b}|"
    "calculate {a} plus {b}|please add {b} to {a}|tell me {a} plus {b}|what do {a} and {b} make|"
    "how many is {a} plus {b}|{a} and {b} is how much|"
    "{a} and {b} together|{a} added to {b}|{a} plus {b} equals what|{a} plus {b} makes|{a} plus {b} makes how much|"
    "{a} plus {b}, how much is that|{a} plus {b}, what do I get|{a} and {b}, what is the sum|{a} and {b} makes what|"
    "add up {a} and {b}|add {a} to {b}|add together {a} and {b}|sum up {a} and {b}|sum of {a} and {b}|"
    "the sum of {a} and {b}|find the sum of {a} and {b}|give me the sum of {a} and {b}|give me {a} plus {b}|"
    "work out {a} plus {b}|work out the sum of {a} and {b}|compute {a} plus {b}|calculate the sum of {a} and {b}|"
    "what does {a} plus {b} make|what does {a} plus {b} equal|what does {a} plus {b} come to|"
    "what do I get from {a} plus {b}|what do you get when you add {a} and {b}|what do {a} and {b} add up to|"
    "what are {a} and {b} together|what are {a} and {b} put together|what is the total of {a} and {b}|"
    "what's the total of {a} and {b}|what's {a} and {b}|what would {a} plus {b} be|"
    "what will I have if I add {a} and {b}|how much are {a} and {b} together|how much do {a} and {b} make|"
    "how much does {a} plus {b} make|how many are {a} and {b}|if I have {a} and get {b} more, how many is that|"
    "if you add {a} and {b}, what comes out|I have {a} apples and {b} pears, how many altogether|"
    "I need to know {a} plus {b}|do you know what {a} plus {b} is|can you do {a} plus {b}|"
    "can you work out {a} plus {b}|let's do {a} plus {b}|total {a} and {b}",
    "subtract": "what is {a} minus {b}|what's {a} minus {b}|how much is {a} minus {b}|subtract {b} from {a}|"
    "{a} minus {b}|what is {a} take away {b}|calculate {a} minus {b}|tell me {a} minus {b}|{a} take away {b}|"
    "what remains of {a} without {b}|how many is {a} minus {b}|what is {b} less than {a}|{a} less {b} is how much|"
    "{a} minus {b} equals what|{a} minus {b} makes|{a} minus {b}, how much is that|{a} minus {b}, what do I get|"
    "{a} less {b}|{a} take away {b} is what|{a} take away {b} leaves how many|take {b} from {a}|"
    "take {b} away from {a}|take away {b} from {a}|deduct {b} from {a}|remove {b} from {a}, what is left|"
    "can you subtract {b} from {a}|subtract {b} from {a} and tell me|work out {a} minus {b}|compute {a} minus {b}|"
    "give me {a} minus {b}|let's do {a} minus {b}|can you do {a} minus {b}|can you work out {a} minus {b}|"
    "can you take {b} away from {a}|do you know what {a} minus {b} is|I need to know {a} minus {b}|"
    "what does {a} minus {b} make|what does {a} minus {b} equal|what does {a} minus {b} come to|"
    "what do I get from {a} minus {b}|what would {a} minus {b} be|what's {a} take away {b}|"
    "what's left if I take {b} from {a}|what is left when you take {b} away from {a}|"
    "what remains if you take {b} from {a}|what do you get when you subtract {b} from {a}|how much is {a} less {b}|"
    "how much is {a} take away {b}|how much is left of {a} after taking {b} away|"
    "how many are left if I take {b} from {a}|how many remain when {b} of {a} are gone|"
    "if I have {a} and give away {b}, how many are left|if I have {a} and lose {b}, what remains|"
    "I had {a} apples and ate {b}, how many are left|from {a} take {b}|from {a} subtract {b}, what do you get",
    "after_number": "what comes after {n}|what number comes after {n}|which number comes after {n}|"
    "what is the number after {n}|what is after {n}|which number follows {n}|what follows {n}|"
    "tell me the number after {n}|the number after {n}|what comes next after {n}|what is the next number after {n}|"
    "after {n} comes what|after {n} comes which number|after {n}, what's next|after {n}, which number is it|"
    "{n} is followed by what|{n} is followed by which number|{n}, and the next number is|{n}, what comes next|"
    "number after {n}|next number after {n}|the next number after {n}|the number right after {n}|"
    "the number that comes after {n}|give me the number after {n}|give me the next number after {n}|"
    "name the number that follows {n}|name the number after {n}|say the number that comes after {n}|"
    "say the next number after {n}|what's after {n}|what's next after {n}|what's the number after {n}|"
    "what's the next number after {n}|what number follows {n}|what number is next after {n}|"
    "what number is right after {n}|what number do I say after {n}|what do you count after {n}|"
    "what do I count next after {n}|what would come after {n}|when you count, what follows {n}|"
    "when counting, what do you say after {n}|if I'm at {n}, which number is next|"
    "I counted to {n}, which number is next|I am at number {n}, what is the next one|"
    "which is the next number after {n}|which is the number after {n}|which one comes after {n}|"
    "which number is next after {n}|which number do you say after {n}|which number is just after {n}|"
    "do you know what comes after {n}|do you know the number after {n}|continue counting after {n}, what's next",
    "before_number": "what comes before {n}|what number comes before {n}|which number comes before {n}|"
    "what is the number before {n}|what is before {n}|tell me the number before {n}|the number before {n}|"
    "which number is just before {n}|what do you count before {n}|"
    "before {n} comes what|before {n} comes which number|before {n}, which number is it|{n} comes after which number|"
    "{n} is preceded by which number|number before {n}|the number right before {n}|the number just before {n}|"
    "the number that comes before {n}|give me the number before {n}|give me the number just before {n}|"
    "name the number before {n}|name the number that comes before {n}|say the number that comes before {n}|"
    "say the number before {n}|what's before {n}|what's the number before {n}|what's right before {n}|"
    "what's just before {n}|what is right before {n}|what number precedes {n}|what number is before {n}|"
    "what number is right before {n}|what number is just before {n}|what number do I say before {n}|"
    "what do I count before {n}|what would come before {n}|what comes right before {n}|what came before {n}|"
    "when you count, what comes before {n}|when counting, what do you say before {n}|"
    "counting back from {n}, what's next|if I count backwards from {n}, what's next|"
    "I am at {n} counting down, what comes next|which is the number before {n}|which one comes before {n}|"
    "which number precedes {n}|which number is right before {n}|which number do you say before {n}|"
    "do you know what comes before {n}|do you know the number before {n}",
    "count_to": "count to {n}|please count to {n}|can you count to {n}|count up to {n}|count from one to {n}|"
    "count for me to {n}|let me hear you count to {n}|could you count to {n} please|say the numbers to {n}|"
    "say the numbers from one to {n}|I want you to count to {n}|"
    "count all the way to {n}|count all the numbers to {n}|count as far as {n}|count from one up to {n}|"
    "count out loud to {n}|count aloud to {n}|count slowly to {n}|count upwards to {n}|count up from one to {n}|"
    "count until {n}|count till {n}|count with me to {n}|let's count to {n}|let us count up to {n}|"
    "start counting and stop at {n}|start at one and count to {n}|begin at one and go up to {n}|"
    "start with one and end with {n}|go from one to {n}|do a count to {n}|give me a count to {n}|"
    "give me the numbers up to {n}|give me all numbers from one to {n}|name the numbers from one to {n}|"
    "list the numbers up to {n}|list all numbers from one to {n}|recite the numbers up to {n}|"
    "say all numbers up to {n}|say all the numbers until {n}|tell me the numbers from one to {n}|one to {n}, count it|"
    "numbers one to {n}|are you able to count to {n}|do you know how to count to {n}|can you count from one to {n}|"
    "can you count up to {n}|could you count up to {n}|would you count to {n}|will you count to {n} with me|"
    "I'd like you to count to {n}|I bet you can't count to {n}|show me that you can count to {n}|"
    "show me how you count to {n}|I want to hear you count up to {n}|try counting to {n}",
    "next_day": "what day comes after {day}|which day comes after {day}|what comes after {day}|"
    "what is the day after {day}|what day is after {day}|which day follows {day}|the day after {day}|"
    "what day follows {day}|tell me the day after {day}|today is {day}, what is tomorrow|"
    "what day is it tomorrow if today is {day}|after {day} comes which day|"
    "{day} is followed by which day|{day}, and the next day is|after {day} comes what|after {day}, what day is it|"
    "after {day}, what's next|day after {day}|the next day after {day}|the day that follows {day}|"
    "give me the day after {day}|name the day after {day}|name the day that follows {day}|say which day follows {day}|"
    "say the day after {day}|what's after {day}|what's the day after {day}|what's next after {day}|"
    "what's tomorrow if it's {day} today|what is after {day}|what is next after {day}|what comes next after {day}|"
    "what is the next day after {day}|what follows {day}|what will tomorrow be if today is {day}|"
    "what do we have after {day}|what day do we have after {day}|what day is next after {day}|"
    "which day is after {day}|which day is next after {day}|which day is the one after {day}|"
    "which day of the week comes after {day}|which day of the week follows {day}|which weekday comes after {day}|"
    "which weekday follows {day}|what weekday is after {day}|if today is {day}, what day is tomorrow|"
    "if today is {day}, what's tomorrow|if it's {day} now, what day comes next|it is {day} today, so what is tomorrow|"
    "it's {day}, what day will it be tomorrow|today's {day}, what day is tomorrow|yesterday was {day}, what is today|"
    "if yesterday was {day}, which day is today|suppose it's {day}, what is the next day|"
    "tomorrow, if today is {day}, is which day|do you know what day comes after {day}|"
    "I forgot, which day comes after {day}",
    "opposite": "what is the opposite of {word}|what's the opposite of {word}|the opposite of {word}|"
    "tell me the opposite of {word}|opposite of {word}|what is the contrary of {word}|"
    "do you know the opposite of {word}|"
    "what means the opposite of {word}|which word is the opposite of {word}|not {word} but what|"
    "can you say the opposite of {word}|"
    "{word} and its opposite|{word}, what is the opposite|{word}, and the opposite is|{word} has what opposite|"
    "the contrary of {word}|the word opposite to {word}|the reverse of {word}|find the opposite of {word}|"
    "find a word that means the opposite of {word}|give me the opposite of {word}|"
    "give me a word that is the opposite of {word}|give the opposite of {word}|name the opposite of {word}|"
    "name the contrary of {word}|say the opposite of {word}|tell me a word opposite to {word}|"
    "what's the contrary of {word}|what's the reverse of {word}|what's the word for the opposite of {word}|"
    "what is opposite to {word}|what is the reverse of {word}|what is the exact opposite of {word}|"
    "what is {word} the opposite of|what is the other extreme from {word}|what do you call the opposite of {word}|"
    "what would be the opposite of {word}|what would you say is the opposite of {word}|"
    "what word means the opposite of {word}|what word is the opposite of {word}|"
    "which word means the contrary of {word}|which word is opposite to {word}|how do you say the opposite of {word}|"
    "how do you call the opposite of {word}|if it's not {word}, what is it|if something isn't {word}, it is what|"
    "if not {word}, then what|it isn't {word}, it's the opposite, namely|can you tell the opposite of {word}|"
    "can you give me the opposite of {word}|can you name the opposite of {word}|I need the opposite of {word}|"
    "I'm looking for the opposite of {word}|I'd like to know the opposite of {word}|"
    "the opposite of {word} is called what|the opposite of {word} is|not {word} but the opposite",
    "thing_colour": "what colour is {art}{thing}|which colour is {art}{thing}|what colour does {art}{thing} have|"
    "tell me the colour of {art}{thing}|what is the colour of {art}{thing}|{art}{thing} has what colour|"
    "the colour of {art}{thing}|what colour is usual for {art}{thing}|say the colour of {art}{thing}|"
    "which colour does {art}{thing} usually have|"
    "{art}{thing} is what colour|{art}{thing} is which colour|{art}{thing}, what colour is that|"
    "{art}{thing} comes in what colour|{art}{thing} usually has which colour|colour of {art}{thing}|"
    "the usual colour of {art}{thing}|the natural colour of {art}{thing}|name the colour of {art}{thing}|"
    "give me the colour of {art}{thing}|describe the colour of {art}{thing}|what's the colour of {art}{thing}|"
    "what's the usual colour of {art}{thing}|what is the usual colour of {art}{thing}|"
    "what is the natural colour of {art}{thing}|what is the typical colour of {art}{thing}|"
    "what colour is {art}{thing} usually|what colour is {art}{thing} normally|what colour is {art}{thing} in nature|"
    "what colour is {art}{thing} as a rule|what colour would {art}{thing} be|what colour would you paint {art}{thing}|"
    "what colour should I paint {art}{thing}|what colour do I use to draw {art}{thing}|"
    "what colour do people think of for {art}{thing}|what colour has {art}{thing}|"
    "which colour would {art}{thing} have|which colour is {art}{thing} normally|"
    "which colour is typical of {art}{thing}|which colour do you give {art}{thing}|"
    "which colour pencil do I need to draw {art}{thing}|in what colour would you draw {art}{thing}|"
    "in which colour do you imagine {art}{thing}|of what colour is {art}{thing}|"
    "do you know the colour of {art}{thing}|do you know what colour {art}{thing} is|"
    "can you name the colour of {art}{thing}|can you tell the colour of {art}{thing}|"
    "I don't know what colour {art}{thing} is|I have never seen the colour of {art}{thing}, what is it|"
    "I was born blind, what colour is {art}{thing}|I've forgotten the colour of {art}{thing}|"
    "I wonder what colour {art}{thing} is",
    "animal_sound": "what sound does a {animal} make|how does a {animal} sound|what does a {animal} say|"
    "what noise does a {animal} make|which sound does a {animal} make|how does a {animal} go|"
    "make a sound like a {animal}|"
    "speak like a {animal}|what does the {animal} say|the sound of a {animal}|can you sound like a {animal}|"
    "tell me the sound of a {animal}|"
    "a {animal} goes how|a {animal} makes what sound|a {animal} makes which noise|a {animal} says what|"
    "the {animal} says what|the {animal} goes|the noise of a {animal}|the noise that a {animal} makes|"
    "the sound a {animal} makes|the sound that the {animal} makes|the cry of a {animal}|be a {animal}|"
    "pretend to be a {animal}|pretend you're a {animal}, what do you say|act like a {animal}|imitate a {animal}|"
    "can you imitate a {animal}|can you do a {animal}|can you make the sound of a {animal}|"
    "can you make a noise like a {animal}|can you speak like a {animal}|could you sound like a {animal} for me|"
    "do the {animal} sound|do a {animal} impression|do you know what a {animal} says|"
    "do you know how a {animal} sounds|do you know the sound of a {animal}|give me the sound of a {animal}|"
    "give me a {animal} noise|how does the {animal} go|how does the {animal} sound|how does a {animal} talk|"
    "how does a {animal} speak|how do I sound like a {animal}|how would a {animal} sound|"
    "how do you imitate a {animal}|let me hear a {animal}|let me hear what a {animal} says|"
    "let me hear the sound of a {animal}|make a noise like a {animal}|make the noise of a {animal}|"
    "say what a {animal} says|talk like a {animal}|what noise comes from a {animal}|what noise does the {animal} make|"
    "what's the sound of a {animal}|what's the noise a {animal} makes|what is the sound of a {animal}|"
    "what is the call of a {animal}|what sound comes from a {animal}|what sound do you hear from a {animal}|"
    "what would a {animal} say|which noise does a {animal} make|which sound comes from a {animal}",
    "legs": "how many legs does a {animal} have|how many legs has a {animal}|how many legs are on a {animal}|"
    "does a {animal} have legs|tell me how many legs a {animal} has|the number of legs of a {animal}|"
    "count the legs of a {animal}|on how many legs does a {animal} walk|how many feet does a {animal} have|"
    "a {animal} has how many legs|"
    "a {animal} has how many feet|a {animal} walks on how many legs|a {animal} stands on how many legs|"
    "a {animal}, how many legs is that|count a {animal}'s legs|can you count the legs on a {animal}|"
    "does a {animal} have any legs|does a {animal} have two legs or four|does a {animal} walk on legs|"
    "do you know how many legs a {animal} has|give me the number of legs on a {animal}|has a {animal} got legs|"
    "has a {animal} got any legs|how many legs are there on a {animal}|how many legs can a {animal} stand on|"
    "how many legs can you count on a {animal}|how many legs do you see on a usual {animal}|"
    "how many legs does a {animal} walk on|how many legs does a {animal} stand on|how many legs does a {animal} need|"
    "how many legs does a {animal} usually have|how many legs does a normal {animal} have|"
    "how many legs does one {animal} have|how many legs does the {animal} have|how many legs has a {animal} got|"
    "how many legs must I draw on a {animal}|how many legs would a {animal} have|how many legs belong to a {animal}|"
    "how many feet has a {animal}|how many feet has a {animal} got|how many feet are on a {animal}|"
    "I want to know the number of legs of a {animal}|I forgot how many legs a {animal} has|"
    "if I draw a {animal}, how many legs does it get|legs of a {animal}|name the number of legs a {animal} has|"
    "number of legs on a {animal}|on how many legs does a {animal} stand|say how many legs a {animal} has|"
    "tell me the number of legs of a {animal}|the legs of a {animal}, how many are there|"
    "what is the number of legs of a {animal}|what number of legs does a {animal} have|"
    "with how many legs is a {animal} born",
    "say_word": "say {word}|please say {word}|say the word {word}|can you say {word}|repeat the word {word}|"
    "repeat after me, {word}|please repeat after me, {word}|speak the word {word}|let me hear the word {word}|"
    "could you say {word}|I want you to say {word}|tell me the word {word}|pronounce {word}|"
    "{word}, repeat that word|{word}, can you say it|{word}, now you say it|{word}, say it after me|"
    "all I want you to say is {word}|answer with the word {word}|can you pronounce {word}|"
    "can you pronounce the word {word}|can you repeat {word}|can you repeat the word {word}|"
    "can you say the word {word}|could you pronounce {word}|could you repeat the word {word} for me|"
    "give me the word {word}|how do you pronounce {word}|how do you say {word}|how is {word} pronounced|"
    "how is the word {word} spoken|I say {word}, and you repeat it|I want to hear {word}|"
    "I want to hear the word {word}|I'd like to hear you say {word}|I'd like you to say {word}|just say {word}|"
    "just say the word {word}|just the word {word}|let me hear you say {word}|let me hear {word}|"
    "let's practise the word {word}|now say {word}|pronounce the word {word}|repeat after me, the word {word}|"
    "repeat {word}|repeat {word} after me|reply with {word}|respond with the word {word}|say after me, {word}|"
    "say for me the word {word}|say just one word, {word}|say only {word}|say simply {word}|say this word, {word}|"
    "speak after me, {word}|tell me how to pronounce {word}|the word is {word}, say it|the word to say is {word}|"
    "try saying {word}|try to say {word}|try the word {word}|will you say {word}|would you say {word}|"
    "would you say the word {word}|your word is {word}, say it",
    "bigger": "which is bigger, {a} or {b}|what is bigger, {a} or {b}|what is more, {a} or {b}|is {a} bigger than {b}|"
    "is {a} more than {b}|which is more, {a} or {b}|which number is bigger, {a} or {b}|is {a} or {b} bigger|"
    "which is larger, {a} or {b}|what is greater, {a} or {b}|which one is more, {a} or {b}|compare {a} and {b}|"
    "is {a} greater than {b}|"
    "{a} or {b}, which is bigger|{a} or {b}, which is more|{a} or {b}, which number is higher|"
    "{a} or {b}, what's greater|{a} and {b}, which is the bigger number|{a} against {b}, which is bigger|"
    "{a} compared with {b}, what is bigger|between {a} and {b}, which is bigger|"
    "between {a} and {b}, which number is higher|out of {a} and {b}, which is larger|"
    "of {a} and {b}, which one is bigger|can you compare {a} and {b}|can you tell which is bigger, {a} or {b}|"
    "choose the bigger one, {a} or {b}|pick the larger number, {a} or {b}|compare the numbers {a} and {b}|"
    "compare {a} with {b}|do you know which is more, {a} or {b}|does {a} beat {b}|find the bigger number, {a} or {b}|"
    "give me the bigger of {a} and {b}|name the bigger of {a} and {b}|say which is bigger, {a} or {b}|"
    "tell me which is more, {a} or {b}|I don't know if {a} is more than {b}|"
    "if I have {a} and you have {b}, who has more|is {a} a bigger number than {b}|is {a} above {b}|"
    "is {a} higher than {b}|is {a} larger than {b}|is {a} or {b} more|is {a} or {b} larger|"
    "is {a} or {b} the bigger number|is {a} or {b} the higher number|is {a} over {b}|the bigger of {a} and {b}|"
    "the larger number, {a} or {b}|what's bigger, {a} or {b}|what's more, {a} or {b}|"
    "what's the bigger number, {a} or {b}|what is higher, {a} or {b}|what is larger, {a} or {b}|"
    "what is the larger of {a} and {b}|what number is bigger, {a} or {b}|which has more, {a} or {b}|"
    "which is greater, {a} or {b}|which is higher, {a} or {b}|which is the bigger number, {a} or {b}|"
    "which is the larger of {a} and {b}|which number is greater, {a} or {b}|which number is higher, {a} or {b}|"
    "which one is bigger, {a} or {b}|which of the two is bigger, {a} or {b}|"
    "who has more, the one with {a} or with {b}|would you rather have {a} sweets or {b}, which is more",
}

DAYPARTS = ("morning", "afternoon", "evening")
_NO_ARTICLE = {
    "grass": "",
    "sky": "the ",
    "snow": "",
    "blood": "",
    "coal": "",
    "milk": "",
    "night": "the ",
    "sun": "the ",
}

# Questions that a small closed model cannot know the answer of (other words than the evaluation's list).
_OOD = (
    "who is the {role} of {place}|what is the {fact} of {place}|where is {place}|how far is it to {place}|"
    "how do I get to {place}|what is the weather in {place}|will it {weather} tomorrow|will it {weather} in {place}|"
    "what time is it|what time is it in {place}|what is the date today|who won the {event}|when is the next {event}|"
    "who is playing in the {event}|what is the {fact} of {topic}|tell me about {topic}|explain {topic}|"
    "what is {topic}|what do you know about {topic}|how does {topic} work|why is there {topic}|"
    "who invented {topic}|when was {topic} invented|who wrote about {topic}|write a {writing} about {topic}|"
    "write a {writing}|read me a {writing}|send a {writing} to my {person}|call my {person}|where is my {person}|"
    "when is my {person} coming|what is my {person} doing|how old is my {person}|what does my {person} want|"
    "play {media}|play some {media}|put on {media}|buy {goods}|order {goods}|where can I buy {goods}|"
    "how much does {goods} cost|how much are {goods}|how do I cook {goods}|how do I make {goods}|"
    "how do I repair {goods}|turn on the {device}|turn off the {device}|start the {device}|how do I use the {device}|"
    "set a timer for {n} minutes|set an alarm for {n}|remind me in {n} minutes|wake me at {n}|"
    "what is {n} times {n}|divide {n} by {n}|what is the root of {n}|how many {unit} are in a {unit}|"
    "translate {goods} into French|what does {topic} mean|who discovered {topic}|when did {topic} begin|"
    "how many people live in {place}|how high is {place}|how long is {topic}|what is the best {device}|"
    "recommend {goods}|find {goods} near me|book a {trip} to {place}|when does the {trip} to {place} leave|"
    "how much is a {trip} to {place}|is there a {trip} to {place}|what happened in {place}|"
    "what is in the news|what is the news from {place}|who lives in {place}|what is the meaning of {topic}|"
    "should I {act}|why should I {act}|how do I {act}|when can I {act}|can you help me to {act}|"
    "who is {famous}|when did {famous} die|when was {famous} born|what did {famous} do|how old is {famous}|"
    "who is on the phone|who rang the doorbell|who sent me that {writing}|who owns {goods}|"
    "who is the boss of the {role} of {place}|who pays for the {trip} to {place}|who scored in the {event}|"
    "who was the first {role} of {place}|who discovered {place}|who built {place}|who lives next door|"
    "who is older, {famous} or my {person}|what did my {person} say|what did my {person} eat for breakfast|"
    "what did I do yesterday|what did I have for lunch last week|what is my phone number|what is my address|"
    "what is my password|what is my {person} called|what is on television tonight|what is for dinner|"
    "what is the capital of the country|what is the tallest building in {place}|what is the longest river in {place}|"
    "what is the boiling point of water|what is the speed of sound|what is the best way to {act}|"
    "what is {famous} famous for|what is happening in {place}|what is the tax on {goods}|"
    "what is a good name for a baby|what is a good present for my {person}|what is wrong with the {device}|"
    "what do you think of {famous}|what do you think about {topic}|what do they eat in {place}|"
    "what do they speak about in {place}|what does {goods} taste like|what year did the war end|"
    "what was {famous} like as a child|what rhymes with {topic}|what goes well with {goods}|what are {goods} made of|"
    "what are the rules of {topic}|what are the main kinds of {topic}|what should I wear to the {event}|"
    "what should I give my {person} for a birthday|what should I cook tonight|what if there was no {topic}|"
    "what would {famous} say about {topic}|when does the shop close|when does the sun rise|when is Christmas|"
    "when is my birthday|when is the next full moon|when is my appointment|when is the rubbish collected|"
    "when did {famous} live|when did people first come to {place}|when was {place} built|when will the {event} begin|"
    "when will my {person} be home|when will {goods} be cheaper|when should I plant tomatoes|where did {famous} live|"
    "where did {famous} die|where does {goods} come from|where do my {person} and I live|where can I park in {place}|"
    "where can I learn {topic}|where can I repair the {device}|where should I go on holiday|"
    "where was the last {event}|where were the first {event} held|where do penguins live|which {trip} goes to {place}|"
    "which bus goes into town|which country has the most people|which team is the best|which film should I watch|"
    "which is cheaper, {goods} or {goods}|which book do you like|which planet is the largest|why is the sky up there|"
    "why is my {person} angry with me|why do we have {topic}|why do people like {topic}|why do cats purr|"
    "why does bread rise|why does the {device} make a noise|why does {place} have so many visitors|"
    "why is {famous} so well known|why are {goods} so expensive|why did {famous} leave {place}|"
    "why did my {person} not call|why did they stop making {goods}|how did {famous} become known|"
    "how did {topic} change the world|how do planes fly|how do birds find their way|how do I make a fire|"
    "how do I tie a tie|how do I clean {goods}|how do I reset the {device}|how do I get rid of ants|"
    "how do I tell my {person} about it|how do I become the {role} of {place}|how do you spell {topic}|"
    "how long does it take to {act}|how long does the {trip} to {place} take|how long should I boil an egg|"
    "how long do elephants live|how fast does a {trip} go|how far away is the moon|how deep is the ocean|"
    "how heavy is an elephant|how many calories are in {goods}|how many days are in a year|"
    "how many countries are in Europe|how many books did {famous} write|how many children does my {person} have|"
    "how many {unit} is it to {place}|how much money do I have|how much does the {device} use|"
    "how much sugar goes into {goods}|how often should I clean the {device}|how was the {event}|"
    "how cold is it outside|how hot will it be in {place}|do you like {topic}|do you like {goods}|"
    "do you prefer tea or coffee|do you believe in ghosts|do you dream at night|do you have children|"
    "do you have a favourite film|do you know my {person}|do you know {famous}|"
    "do you think the {role} of {place} is honest|do you think I should {act}|do you remember the {event}|"
    "do I have any new messages|do I need an umbrella|do we have any {goods} left|did my {person} call|"
    "did {famous} ever visit {place}|did anyone win the lottery|does my {person} like {goods}|"
    "does {place} have an airport|does the {trip} to {place} stop here|does the shop sell {goods}|"
    "is {famous} still alive|is {place} bigger than {place}|is {place} worth a visit|"
    "is it going to {weather} this weekend|is it raining outside|is it Monday today|is it a holiday today|"
    "is my {person} at home|is my {person} older than you|is the shop open on Sunday|is the {device} switched on|"
    "is the {trip} to {place} late|is the post here yet|is the earth round|is {topic} important|"
    "is {topic} hard to learn|is {goods} good for a party|is there life on Mars|is there a god|"
    "is there a bakery nearby|is there enough {goods} for everybody|are there any seats left for the {event}|"
    "are there wolves in {place}|are {goods} on sale this week|are you hungry|are you married|"
    "are my keys at my {person}'s place|will my {person} visit me|will I be rich one day|"
    "will the {event} be on television|will {goods} get more expensive|was {famous} married|"
    "was {famous} ever in {place}|was the {event} any good|were there many people at the {event}|"
    "has my {person} written to me|has the {trip} to {place} left already|has {famous} any children|"
    "have I paid the rent|have you read the {writing} from my {person}|can I pay by card|"
    "can I bring {goods} to the {event}|can dogs eat chocolate|can my {person} come along|can you drive a car|"
    "can you swim|can you book me a table for two|can you wash the dishes|can you find a recipe for {goods}|"
    "can you do my homework|can you text my {person}|can you check my email|can you pay my bills|"
    "could you lend me some money|could you close the door|could you water the plants|could you heat the oven|"
    "could you fetch my {person}|would you marry me|would you like some {goods}|would it be cheaper by {trip}|"
    "should we go to {place} this summer|should my {person} {act}|should I take the {trip} or walk to {place}|"
    "add {goods} to my shopping list|add the {event} to my calendar|answer the phone|book a table at a restaurant|"
    "bring me {goods}|call an ambulance|call the police|call a taxi to {place}|cancel my {trip} to {place}|"
    "check the {device}|check my bank balance|clean the kitchen|close the curtains|compare {goods} and {goods}|"
    "convert {n} {unit} into {unit}|cook some {goods}|delete the last {writing}|draw me a map of {place}|"
    "empty the bin|feed the cat|film my {person}|fix the {device}|give me a recipe for {goods}|"
    "give me directions to {place}|give me the phone number of my {person}|give me three facts about {topic}|"
    "google {topic}|guess my age|invite my {person} to the {event}|join the meeting|lock the front door|"
    "look up {famous}|look up {topic} in a dictionary|make a list of {goods}|make me {goods}|make the room warmer|"
    "make an appointment at the hairdresser|multiply {n} by {n}|name all rivers in {place}|"
    "name three books by {famous}|navigate to {place}|note down that my {person} called|open the garage|"
    "open my {writing}|pause the film|pick a card|print the {writing}|put {goods} in the basket|quote {famous}|"
    "rate {goods} out of ten|read my mail|read the news to me|remind me to call my {person}|remind me to {act}|"
    "reply to my {person}|ring my {person} at {n} tonight|save this {writing}|search for {goods}|"
    "send my {person} some flowers|send {goods} to my {person}|set the {device} to {n}|show me a film with {famous}|"
    "show me the way to {place}|skip this song|spell {famous}|start the stopwatch|start a new game|"
    "summarise the {writing}|switch the {device} off|switch the {device} on|take me to {place}|take a note|"
    "teach me {topic}|tell my {person} that I'm late|tell me the price of {goods}|tell me the history of {place}|"
    "tell me the time in {place}|tell me who won the {event}|tell me when the {trip} leaves|"
    "tell me something about {famous}|tell me a fact about {topic}|tell me my horoscope|tell me a story about {place}|"
    "throw a coin|roll the dice|translate the {writing}|unlock my phone|update the {device}|wash my clothes|"
    "watch the baby|write to my {person}|write a poem about {goods}|write an essay on {topic}|I had {goods} for lunch|"
    "I think {topic} is boring|I think {famous} was wrong|I believe the {role} of {place} should go|I love {goods}|"
    "I hate {topic}|I don't like the {role} of {place}|I met my {person} yesterday|I miss my {person}|"
    "I went to {place} last year|I want to go to {place}|I want to {act}|I would like to order {goods}|"
    "I need {goods} by tomorrow|I need a {trip} to {place}|I need to find a job|I lost my wallet|"
    "I lost my keys yesterday|I am hungry|I am thirsty|I am tired today|I am in love|I'm cold|I'm late for work|"
    "I've bought {goods} today|I saw a film about {topic}|I read a book about {famous}|"
    "I dreamt about {place} last night|I used to live in {place}|I cannot afford {goods}|"
    "I can't decide between {goods} and {goods}|I wonder whether my {person} will come|"
    "I was going to say that the {role}|I was just thinking about {topic}|my {person} is coming for dinner|"
    "my {person} told me about {topic}|my {person} bought {goods}|my {person} wants to {act}|"
    "my {person} lives in {place}|my favourite food is {goods}|my {device} is broken|my train was late this morning|"
    "my neighbours are noisy|my cat had kittens|we are going to {place} by {trip}|we should {act}|"
    "we had a lovely holiday in {place}|we ran out of {goods}|the {device} doesn't work|"
    "the {device} is making a funny smell|the {event} was boring|the {role} of {place} was on television|"
    "the {trip} to {place} was cancelled|the best thing about {place}|the price of {goods} in {place}|"
    "the recipe for {goods}|the meaning of life|the name of the {role} of {place}|the winner of the {event}|"
    "the other day in {place}|the film with the dog|it will {weather} soon|it was so cold in {place}|"
    "it rained all day yesterday|it's my {person}'s birthday today|it's nearly time for {goods}|"
    "there is nothing on television|there was a {role} in {place} once|they say {topic} is dangerous|"
    "they want to build a new road to {place}|people in {place} are friendly|{famous} was born in {place}|"
    "{famous} is my favourite|{famous} and {famous}, who was better|{topic} and {topic}, what links them|"
    "{topic} is hard to understand|{place} by {trip}, how long|{goods} for {n} people, what do I need|"
    "{n} divided by {n}|{n} times {n}|{n} per cent of {n}|a {trip} to {place} for {n} people|"
    "a {writing} for my {person}|a recipe with potatoes and cheese|a week in {place}|"
    "as I was saying about my {person}|because my {person} said so|but the {role} never told us|"
    "and then my {person} went|and after that we|if only the {role} of {place}|if I were you I would|"
    "in the middle ages people|when I was young we|when we were in {place}|well the thing with {topic} is|"
    "or maybe we could|so then I told my {person}|so anyway the {device}|next week I want to|once upon a time|"
    "on the other hand|at the end of the day|speaking of {topic}|not in {place}|only on Sundays|maybe tomorrow|"
    "perhaps later|by the way, {place}|nice weather today|what lovely weather|happy birthday|merry Christmas|"
    "happy new year|congratulations|good luck with the {event}|bon appetit|bless you|cheese or ham|heads or tails|"
    "let's play a game|let's play chess|let's go to {place}|let's talk about {topic}|let's order {goods}|"
    "let us discuss {topic}|have you been to {place}|have you ever tasted {goods}|have you seen the {event}|"
    "have you met {famous}|prove that {topic} exists|define {topic}|predict the winner of the {event}|"
    "advise me on {topic}|imagine {place} without {topic}|explain {topic} to a child|"
    "explain the difference between {topic} and {topic}|explain why {famous} left|explain the rules of chess"
)
_OOD_SLOTS = {
    "role": "king queen leader mayor minister chief".split(),
    "place": "Spain,China,Rome,Canada,Egypt,Vienna,Paris,Sweden,Mexico,Moscow,Texas,Australia,the castle,the city,"
    "the school,the harbour,the old town,the market,the nearest shop".split(","),
    "fact": "size,age,history,height,weight,price,origin,flag,temperature".split(","),
    "weather": "rain,snow,storm,freeze,be sunny,be warm".split(","),
    "event": "cup final,race,election,tennis match,contest,marathon,concert,league".split(","),
    "topic": "electricity,gravity,history,biology,the ocean,money,the law,democracy,chemistry,the brain,glass,steel,"
    "the wheel,energy,the stars,volcanoes,dinosaurs,football,physics,mathematics,religion,art,the pyramids,taxes,"
    "the radio,engines,the middle ages,climate change,inflation,cancer".split(","),
    "writing": "letter,story,message,report,speech,mail,text,book,postcard".split(","),
    "person": "father,brother,friend,neighbour,teacher,wife,husband,daughter,son,uncle".split(","),
    "media": "the radio,a song,rock music,a film,my playlist,classical music,a podcast".split(","),
    "goods": "bread,potatoes,a bicycle,a new phone,shoes,chicken soup,tickets,pasta,a cake,flowers,coffee,a towel,"
    "fresh fish,a hotel room,a winter coat,medicine,cheese,a chair lift".split(","),
    "device": "heating,radio,oven,television,light in the hall,dishwasher,computer,printer,alarm".split(","),
    "n": "five,twelve,thirty,sixty,ninety,fifteen,a hundred,forty two,seventeen".split(","),
    "unit": "miles,metres,grams,ounces,inches,minutes,litres,pound,week,year,kilometre".split(","),
    "trip": "train,bus,flight,taxi,ship,hotel,tour".split(","),
    "act": "marry,sell my car,change my job,learn the piano,lose weight,pay my bills,fix the roof,move to the country,"
    "vote,invest my money,clean the carpet,open a bank account,write a letter,play chess".split(","),
    "famous": "Einstein,Shakespeare,Cleopatra,Beethoven,Columbus,Newton,the pope,the queen,Picasso".split(","),
}  # fmt: skip
OOD_ANSWER = "I do not know that."
UNCLEAR_ANSWER = "I did not understand that."
NOTHING_SAID_ANSWER = "I did not say anything yet."
NO_PICTURE_ANSWER = "I do not see a picture."


def _draw_slots(intent: str, rng: random.Random) -> Slots:
    if intent == "daypart":
        return {"part": rng.choice(DAYPARTS)}
    if intent == "my_name":
        return {"name": rng.choice(words.NAMES)}
    if intent == "add":
        return {"a": words.number(rng.randint(0, 10)), "b": words.number(rng.randint(0, 10))}
    if intent == "subtract":
        a = rng.randint(1, 10)
        return {"a": words.number(a), "b": words.number(rng.randint(0, a))}
    if intent == "bigger":
        a, b = rng.sample(range(11), 2)
        return {"a": words.number(a), "b": words.number(b)}
    if intent in ("after_number", "before_number"):
        return {"n": words.number(rng.randint(1, 12))}
    if intent == "count_to":
        return {"n": words.number(rng.randint(3, 10))}
    if intent == "next_day":
        return {"day": rng.choice(words.DAYS)}
    if intent == "opposite":
        return {"word": rng.choice(list(words.OPPOSITES))}
    if intent == "thing_colour":
        return {"thing": rng.choice(list(words.THING_COLOURS))}
    if intent == "animal_sound":
        return {"animal": rng.choice(list(words.ANIMAL_SOUNDS))}
    if intent == "legs":
        return {"animal": rng.choice(list(words.LEGS))}
    if intent == "say_word":
        return {"word": rng.choice(words.SAY_WORDS)}
    raise ValueError(f"intent {intent!r} has no slots; known: {', '.join(WITH_SLOTS)}")


def _value(slot: str) -> int:
    return words.NUMBERS.index(slot)


_ANSWERS: dict[str, Callable[[Slots], str]] = {
    "daypart": lambda s: f"Good {s['part']}. How can I help?",
    "my_name": lambda s: f"Nice to meet you, {s['name']}.",
    "add": lambda s: f"{s['a']} plus {s['b']} is {words.number(_value(s['a']) + _value(s['b']))}.",
    "subtract": lambda s: f"{s['a']} minus {s['b']} is {words.number(_value(s['a']) - _value(s['b']))}.",
    "after_number": lambda s: f"After {s['n']} comes {words.number(_value(s['n']) + 1)}.",
    "before_number": lambda s: f"Before {s['n']} comes {words.number(_value(s['n']) - 1)}.",
    "count_to": lambda s: ", ".join(words.NUMBERS[1 : _value(s["n"]) + 1]) + ".",
    "next_day": lambda s: f"After {s['day']} comes {words.DAYS[(words.DAYS.index(s['day']) + 1) % 7]}.",
    "opposite": lambda s: f"The opposite of {s['word']} is {words.OPPOSITES[s['word']]}.",
    "thing_colour": lambda s: f"{thing_phrase(s['thing'])} is {words.THING_COLOURS[s['thing']]}.",
    "animal_sound": lambda s: f"A {s['animal']} says {words.ANIMAL_SOUNDS[s['animal']]}.".replace("A owl", "An owl"),
    "legs": lambda s: f"{words.article(s['animal'])} has {words.LEGS[s['animal']]} legs.",
    "say_word": lambda s: f"{s['word']}.",
    "bigger": lambda s: "{} is bigger than {}.".format(*sorted((s["a"], s["b"]), key=_value, reverse=True)),
}

INTENTS = (*FIXED, *WITH_SLOTS)


def thing_phrase(thing: str) -> str:
    return _NO_ARTICLE.get(thing, words.article(thing)[: -len(thing)]) + thing


def answer(intent: str, slots: Slots) -> str:
    """The one right answer of a talk intent."""
    if intent in FIXED:
        return FIXED[intent][1]
    return words.capital(_ANSWERS[intent](slots))


def phrasings(intent: str) -> list[str]:
    return (FIXED[intent][0] if intent in FIXED else WITH_SLOTS[intent]).split("|")


def ask(intent: str, rng: random.Random) -> tuple[str, Slots]:
    """A question of this intent: its words (without polite frames) and its slots."""
    slots = _draw_slots(intent, rng) if intent in WITH_SLOTS else {}
    art = words.article("x")[:0]
    if intent == "thing_colour":
        art = thing_phrase(slots["thing"])[: -len(slots["thing"])]
    text = rng.choice(phrasings(intent)).format(**slots, art=art)
    return text.replace("a owl", "an owl").replace("a ant", "an ant"), slots


def ask_out_of_domain(rng: random.Random) -> str:
    text = rng.choice(_OOD.split("|"))
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        text = text[:start] + rng.choice(_OOD_SLOTS[text[start + 1 : end]]) + text[end + 1 :]
    return text


_BEFORE = (
    "please", "okay", "hey", "so", "um", "well", "now", "hey Sightline", "Sightline", "tell me", "can you tell me",
    "I want to know", "excuse me", "and", "could you tell me", "I have a question",
)  # fmt: skip
_AFTER = ("please", "for me", "now", "then", "thank you")


def frame(text: str, rng: random.Random) -> str:
    """Puts polite or hesitant words around a question now and then."""
    draw = rng.random()
    if draw < 0.18:
        before = rng.choice(_BEFORE)
        return f"{before}, {text}"
    if draw < 0.28:
        return f"{text} {rng.choice(_AFTER)}" if rng.random() < 0.5 else f"{text}, {rng.choice(_AFTER)}"
    return text
