"""Cached features become logits: softmax regression solved for many folds at once, class means, nearest neighbours."""
