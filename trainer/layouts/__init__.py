"""The trained model in the layouts of other libraries: what each can hold, names of weights, a comparison."""
