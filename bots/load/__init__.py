"""`trialogue load`: real conversations, played against the API or, in a checkout, through a platform's fake.

conversations   what is said
api             says it to any server with OpenAI's API
rooms           says it to our own bot, on a platform on loopback
outcome         percentiles, JSON and the histogram
command         the command and its live display
"""
