"""What models are measured with: labelled images, peers, tables and sheets."""
