"""The console: a deployed pipeline as a page in the browser.

`collector` reads the pipeline a few times a minute, however many look; `live` passes what it read
on to every open page. Events come from `follower`, or for a console that only reads from
`story_reader`. `practice` makes what goes wrong on purpose. `guard` lets nobody in but whoever has
the secret address. `flow` finds out from the deployed template what is wired to what, and `picture`
draws it. Each page has a module.
"""
