"""The core: tensors, the graph they leave behind, the walk back through it. It knows no operation."""
