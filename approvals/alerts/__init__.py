"""Alerts as a product: rules under change control, episodes of what they find, silences, notices. Rules themselves are pure, in
`audit.alerts`; rooms above say what states there are through its port."""
