"""Parts of `next_basket`: the data, the methods that are compared, the product, and the measures."""
