"""A ResNet-18 that PyTorch trained on other classes: how much that helps the example `fine_tuning.py`."""
