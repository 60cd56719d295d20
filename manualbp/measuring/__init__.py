"""The measuring wing: networks, gradients, steps, oracles and the fair measurement of them.

It imports TensorFlow and knows nothing of tables, figures or pages.
"""
