"""The page's own words, by the names by which it asks for them."""

from collections.abc import Mapping

from core.languages import msgid

WORDS: Mapping[str, str] = {
    # what stands on it
    "conversation": msgid("Conversation"),
    "messages": msgid("Messages"),
    "model": msgid("The model that answers"),
    "welcome": msgid("What is on your mind?"),
    "remembers": msgid("I remember what we say here, also the next time you open this page."),
    "sky": msgid("Why is the sky blue?"),
    "haiku": msgid("Write a haiku about the night shift."),
    "help": msgid("What can you do?"),
    "hint": msgid("Enter sends, Shift+Enter makes a new line, Escape stops. Commands: /help, /reset, /persona"),
    "newest": msgid("Go to the newest message"),
    "skip": msgid("Skip to the message box"),
    # the box
    "message": msgid("Message"),
    "write": msgid("Write a message"),
    "send": msgid("Send"),
    "stop": msgid("Stop the answer"),
    "attach": msgid("Add a file"),
    "drop": msgid("Drop files here"),
    "remove": msgid("Remove {name}"),
    "uploading": msgid("Uploading {name}"),
    "too_large": msgid("{name} is larger than {limit} MB."),
    "not_uploaded": msgid("{name} could not be uploaded."),
    "too_many_files": msgid("A message takes ten files at most."),
    "too_long": msgid(
        "This message has {length} characters, and I can take {limit} at once. "
        "It is still in the box: please shorten it or send it in pieces."
    ),
    "far_too_long": msgid("This message is too long for me. It is still in the box: please shorten it."),
    "offline": msgid(
        "There is no connection right now. Your message is sent as soon as there is one; Escape takes it back."
    ),
    "editing": msgid("You change your last message. Escape leaves it as it is."),
    "branching": msgid(
        "You change an earlier message: the conversation goes on from there, and leaves behind what came after "
        "it. Escape leaves it as it is."
    ),
    # an exchange
    "thinking": msgid("Thinking"),
    "lost": msgid("The answer did not reach this page."),
    "copy": msgid("Copy"),
    "copy_code": msgid("Copy this code"),
    "copied": msgid("Copied"),
    "not_allowed": msgid("Not allowed"),
    "edit": msgid("Edit"),
    "previous": msgid("The answer before"),
    "next": msgid("The next answer"),
    "up": msgid("Good answer"),
    "down": msgid("Bad answer"),
    # the list
    "conversations": msgid("Conversations"),
    "new": msgid("New conversation"),
    "search": msgid("Search"),
    "none": msgid("Nothing was found."),
    "answered": msgid("New answer"),
    "rename": msgid("Rename"),
    "new_title": msgid("New title"),
    "delete": msgid("Delete"),
    "really": msgid("Delete this conversation? What was said in it is forgotten."),
    "cancel": msgid("Cancel"),
    # the panel
    "panel": msgid("Persona and sampling"),
    "persona": msgid("Who I am to be"),
    "persona_hint": msgid("In all your conversations here; empty: my usual self."),
    "save": msgid("Save"),
    "temperature": msgid("Temperature"),
    "top_p": msgid("Top p"),
    "max_tokens": msgid("Most tokens of an answer"),
    "as_set": msgid("as I am set"),
    "usual": msgid("As usual"),
    # the connection
    "connecting": msgid("Connecting"),
    "connected": msgid("Connected"),
    "reconnecting": msgid("Reconnecting"),
    "away": msgid("No connection, trying again"),
    "locked": msgid("A key is needed"),
    "key": msgid("Key"),
    "open": msgid("Open"),
}
