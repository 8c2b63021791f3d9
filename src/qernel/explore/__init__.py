"""A local web page on which a λ slider moves and the electrons freeze: ``qernel explore``.

`catalogue` knows the models, `live` samples them, `view` says what a page is sent, `server` answers requests,
`serve` runs the server; `static/` is the page itself.
"""
