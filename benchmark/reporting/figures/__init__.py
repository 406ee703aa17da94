"""Charts as SVG, and grids of pictures as PNG: finished numbers in, a drawing out."""
