"""What an operator sees of the bot: metrics, traces, logs and health. Nobody else knows that they are there.

    instruments   what is watched, and by whom
    metrics       counters and histograms for Prometheus; collectors: what is counted elsewhere
    live          the turns under way
    tracing       a turn as one trace, from process to process, for OpenTelemetry
    logs          structured lines, each with the turn that it is about
    inbox, engine, embedder, delivery    watch what passes through these
    health        whether the process is alive, and ready
    routes        /metrics and /readyz

The core has one hook for all this: a worker is given a context manager for a turn.
"""
