"""The real handlers under a seeded model of AWS's delivery, with a virtual clock.

Everything that happens follows from one ``random.Random(seed)``: deliveries, batches, latencies,
faults. One thing happens at a time, so a seed replays byte for byte.

- `template` reads what is wired to what from ``template.yaml``; `rooms` loads the handlers as
  Lambda would, with their AWS clients (`clients`) leading here
- `coroutines` lets an invocation stop at each of its AWS calls; `scheduler` is the virtual clock
- `lambdas`, `queues`, `bus`, `topic`, `dynamodb` and `card_processor` answer the calls; DynamoDB's
  conditions are evaluated by MiniStack and never by code of ours
- `faults` and `weather`: what goes wrong, and how often in this seed
- `workload`: who orders and cancels what; `witness` writes down what happened
- `invariants`: what must hold; `story`: what happened, to be read
- `simulation` runs one seed, `runner` many; `sabotages` break the handlers to test the test

`explore` goes through every schedule of bounded `scopes`, with choices in the place of chance:

- `choices` makes them in turn; `agenda` stands for the clock; `exploration` is one schedule
- `explorer` is the search; `state` says when two runs go on alike; `places`, which steps commute
- `snapshots` copies a run, of which some parts are `sealed`; so the search need not begin anew
- `remembered` and `memory`: what handlers do, and what they keep from one invocation to the next
"""
