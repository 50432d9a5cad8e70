"""The pages that links in mails lead to, and the first run: plain forms in three languages.

A link brings its secret in the fragment (`#token=…`), which no browser sends. Opening a link therefore tells nobody
anything and uses nothing up, whoever opens it, scanners of mail included (RC-06, N-23); only the button of the form
sends the secret. A script moves it from the fragment into the form; without the script, people type the code that
stands below the link. There are no cookies and no sessions here: what a form needs again, it carries.

One module per page: its `PAGE` says where it is and what its button does. Texts stand in `words/`, looks in `assets/`.
"""
