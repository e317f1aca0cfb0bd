"""A load generator for anything that serves llm.v1: `python -m bench.load HOST:PORT --phase …`.

The parts that decide (grammar, phases, arrivals, lengths, tally) know no clock, no network and no
loop; `generator` sends, `connections` connects. Nothing but llm_client and the standard library is
needed, the table of `table` apart, so that it runs in any pod that holds the client.
"""
