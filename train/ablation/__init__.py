"""The ablation: the joint network against the two-model pipelines, and against itself without its parts."""
