"""OpenAI's API on the bot's own server: the same engine, line and cache serve rooms and programs.

access        who may ask, and how much
requests      what is asked for, checked
models        which names are answered to
answers       what is answered, whole or as a stream
endpoint      one request from its first byte to its last
document      the OpenAPI document
routes        all of it, mounted
"""
