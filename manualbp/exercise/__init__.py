"""The course exercise in one sitting: a small network and its backward pass, written by hand.

Read it in this order: ``network`` (variables, forward pass), ``derivatives`` (one local derivative
an operation), ``chain`` (the backward pass), then the forms that were written to be fast
(``fused``, ``augmented``, ``packed``), and ``reference``, the same in NumPy.  ``checks`` refuses
what is passed in wrongly.  Nothing here needs the harness.
"""
