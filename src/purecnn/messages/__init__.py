"""Messages: what people type by mistake, and the sentence that answers it.

`vocabulary` is a table of words that Keras, PyTorch and scikit-learn have for things that are called
otherwise here, put together of those in `words`; `calls` is one for methods and commands: there `near_names`
looks. `signatures` answers a call whose arguments fit none; `extras` says the command that installs what is
missing.

Imports `errors` alone. Begin with `vocabulary`.
"""
