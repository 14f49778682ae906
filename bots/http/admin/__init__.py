"""The operator's page: what all processes of the installation do, and what can be asked of them.

    overview    what was seen of all processes, and the last hour as points
    point       from what was counted to how fast it is
    stream      the overview as server-sent events, one stream for each open page
    orders      what an operator may ask for
    access      who is an operator
    page        the files in static/

Each process that serves HTTP serves it, and shows the same: processes show themselves (`bots.presence`).
"""
