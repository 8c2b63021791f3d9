"""Models trained under equal conditions, and what one needs to be as accurate as another.

`conditions` sees to the equality, `runs` trains and measures, `reference` says what accuracy is measured against,
`accuracy` combines seeds into errors, `ratios` compares the ansätze.
"""
